"""The dashboard: a Streamlit app over stores of runs, opened by ``ncore dashboard``.

Rooms, from the top: ``app`` starts and serves, ``pages`` lay out, ``learn`` teaches and ``report`` writes; ``parts``
are what pages are made of, ``charts`` bring figures into the browser, ``state`` remembers what a session chose;
``figures`` draw, ``data`` reads and computes, ``access`` says who may see it, and ``text`` has the words. Each imports
only what is below it; ``data``, ``figures`` and ``text`` work without Streamlit, in a notebook say.
"""
