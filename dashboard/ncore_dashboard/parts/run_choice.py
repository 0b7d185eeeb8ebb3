"""The run and the epoch that a page on one run shows; both pages share them."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import streamlit as st

from ncore.errors import NcoreError
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded, recorded
from ncore_dashboard.parts import runs_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown, plain, told_apart

__all__ = [
    "EPOCH",
    "RUN",
    "SECONDS",
    "SECONDS_ON",
    "choose",
    "chosen_by_click",
    "deadline",
    "epoch_of",
    "follow_click",
    "go_on",
    "others",
]

RUN, EPOCH = "network-run", "network-epoch"
_SHOWN, _BOX, _IN_URL = "run shown", "run box", "run in url"
SECONDS, SECONDS_ON = 0.12, 0.4
"""For what each part of a page may read before it is shown, at first and when reading goes on by itself."""
_CLICKED = "chosen by click"
_GOES_ON = "reading goes on"
_LOOKED_AT = 100


def choose() -> Recorded | None:
    """Let the user choose a run; says why, and returns None, if it has nothing of its synapses."""
    books = sidebar.current()
    runs = books.runs()
    if runs.empty:
        runs_choice.no_runs()
        return None
    chosen, _ = session.split_known(set(runs["key"]))
    options = chosen or runs["key"].head(runs_choice.MOST_RUNS).tolist()
    key = _pick(options, set(runs["key"]))
    if not chosen and len(runs) > len(options):
        st.caption(f"The newest {len(options)} of {len(runs):,} runs are listed; choose others on the page Runs.")
    try:
        found = recorded(books, key)
    except NcoreError as error:
        ui.empty("This run can't be read.", f"{markdown(error)} Other runs go on working: choose another one.")
        return None
    if not found.trajectories and not found.line_graphs:
        ui.empty("Nothing was recorded of this run's synapses.", f"{HOW_TO_RECORD} Or choose another run.")
        return None
    return found


def others(key: str) -> list[str]:
    """The runs of the working set beside this one that are looked at next, a few."""
    chosen, _ = session.split_known(set(sidebar.current().runs()["key"]))
    place = chosen.index(key) if key in chosen else 0
    return [name for name in chosen[max(place - 1, 0) : place + 2] if name != key]


def _pick(options: list[str], known: Collection[str]) -> str:
    """The box of runs. Its choice is put into the URL by hand: a bound box would write labels, and two can agree."""
    state = st.session_state
    given: str | None = st.query_params.get(RUN)
    if given in known and given != state.get(_IN_URL):  # a link, or a step back in the browser's history
        state[_SHOWN] = given
    shown = state.get(_SHOWN)
    if not isinstance(shown, str) or shown not in known or (shown not in options and given is None):
        shown = options[_first_with_synapses(options)]
    if shown not in options:
        options = [shown, *options]
    state[_BOX] = shown
    labels = told_apart({name: _label(name) for name in options})

    def changed() -> None:
        state[_SHOWN] = state[_BOX]

    found = st.selectbox(
        "Run", options, format_func=lambda name: labels.get(name, name), width=420, key=_BOX, on_change=changed
    )
    key = session.one_of(found, options, shown)
    state[_SHOWN] = state[_IN_URL] = key
    if given != key:
        st.query_params[RUN] = key
    return key


def epoch_of(epochs: Sequence[int]) -> int:
    """Let the user choose one of the recorded epochs, the last by default."""
    options = list(epochs)
    if len(options) == 1:
        return options[0]
    state = st.session_state.get(EPOCH)
    if state is not None and state not in options:  # of another run: the nearest of this one
        st.session_state[EPOCH] = min(options, key=lambda e: abs(e - state)) if isinstance(state, int) else options[-1]
    arguments = session.setting(EPOCH)
    if EPOCH not in st.session_state and EPOCH not in st.query_params:
        st.session_state[EPOCH] = options[-1]
    found: int = st.select_slider("Epoch", options, width=420, **arguments)
    return session.one_of(found, options, options[-1])


def deadline() -> float:
    """Until when a part of the page that is drawn now may read, on the monotonic clock."""
    return time.monotonic() + (SECONDS_ON if st.session_state.get(_GOES_ON) else SECONDS)


def go_on(done: int, planned: int) -> None:
    """Say how far reading is, and draw the page again in a moment, with more."""
    st.caption(f"Read {done} of {planned} epochs; the rest follows.")
    st.session_state[_GOES_ON] = False
    begun = False

    @st.fragment(run_every=0.2)
    def again() -> None:
        nonlocal begun
        if begun:  # not while the page itself is being drawn
            st.session_state[_GOES_ON] = True
            st.rerun()
        begun = True

    again()


def chosen_by_click() -> None:
    """To be called where a click has chosen something: the whole page is to follow, and the URL."""
    st.session_state[_CLICKED] = True


def follow_click(whole: bool) -> None:
    """Draw the page again after a click in a fragment; ``whole``: this is the page itself, so that it is enough."""
    if st.session_state.pop(_CLICKED, False) and not whole:
        st.rerun()


def _first_with_synapses(options: Sequence[str]) -> int:
    books = sidebar.current()
    for index, key in enumerate(options[:_LOOKED_AT]):
        try:
            if books.run(key).manifest.tables.get("line_graph"):
                return index
        except NcoreError:
            continue
    return 0


def _label(key: str) -> str:
    row = sidebar.current().row(key)
    if row["status"] == "unreadable":
        return plain(f"{row['run']} (can't be read)", 70)
    return plain(f"{row['candidate']} · {row['dataset']} · seed {row['seed']}", 70)
