"""What several pages let the user choose: the prediction method, and the epoch up to which it sees."""

from __future__ import annotations

import streamlit as st

from ncore.predict import DEFAULT_METHOD, get_predictor, predictor_names
from ncore_dashboard.state import session

__all__ = ["epoch", "method"]


def method(page: str) -> str:
    """The prediction method; ``page`` is the prefix of the widget's key."""
    names = list(predictor_names())
    chosen = st.selectbox(
        "Prediction method",
        names,
        names.index(DEFAULT_METHOD),
        lambda name: get_predictor(name).label + (" (default)" if name == DEFAULT_METHOD else ""),
        help="\n\n".join(f"**{get_predictor(name).label}**: {get_predictor(name).description}." for name in names),
        width=300,
        **session.setting(f"{page}-method"),
    )
    return session.one_of(chosen, names, DEFAULT_METHOD)


def epoch(page: str, last: int, needed: int) -> int:
    """The epoch as of which to rank, from 1 to ``last``; by default a third of them, and what the method needs."""
    if last < 2:
        return 1
    key = f"{page}-epoch"
    arguments = session.setting(key)
    if isinstance(st.session_state.get(key), int) and not 1 <= st.session_state[key] <= last:
        st.session_state[key] = last  # kept from a dataset with more epochs
    return int(
        st.slider(
            "As of epoch",
            1,
            last,
            min(last, max(needed, 3, last // 3)),
            help="What would have been said then: of these runs, epochs up to this one are seen and nothing later, not "
            "even where they ended. As of the last epoch that is all that is known, and what has ended is measured. "
            "Finished runs of other datasets, which methods learn from, are taken as they are now.",
            **arguments,
        )
    )
