"""Recording inside the trainers of other libraries: one callback a module, which imports its library with it.

The callbacks wrap :class:`ncore.Recorder`; ``session`` is what they share, ``naming`` reads the names that metrics
are logged under.
"""
