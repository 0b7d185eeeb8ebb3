"""Lessons of a few screens.

A lesson is a module here with a ``LESSON`` (:class:`ncore_dashboard.learn.lessons.frame.Lesson`) and its name in
``registry``.
"""
