"""The dashboard: a Streamlit app over stores of runs, opened by `ncore dashboard`.

``queries`` reads, ``figures`` draws, ``app_pages`` lay out; the first two work without Streamlit, in a notebook say.
"""
