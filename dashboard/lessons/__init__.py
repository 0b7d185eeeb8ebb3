"""The teaching side: lessons of a few screens, the glossary, and the playground's engine.

A lesson is a module here with a ``LESSON`` (:class:`dashboard.lessons.frame.Lesson`) and a line in ``registry``.
"""
