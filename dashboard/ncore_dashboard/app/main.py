"""The app that ``ncore dashboard`` serves: configuration, navigation, what all pages share.

Run by Streamlit; ``ncore_dashboard.app.launch`` starts it with a safe configuration.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ncore.errors import NcoreError
from ncore_dashboard.access import gate
from ncore_dashboard.app.launch import configured_stores
from ncore_dashboard.app.turns import turn
from ncore_dashboard.app.warm import warm_up
from ncore_dashboard.charts import zoom
from ncore_dashboard.data.library import library
from ncore_dashboard.parts import sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import markdown

PAGES = Path(__file__).resolve().parents[1] / "pages"
FOLLOW_EVERY = 2.0  # seconds
ICON = (  # drawn here, because an icon by name would be fetched from the internet
    '<svg viewBox="0 0 32 32"><g stroke="#2A87BD" stroke-width="4" fill="#2A87BD">'
    '<path d="M8 8 24 16 8 24" fill="none"/><circle cx="8" cy="8" r="4"/>'
    '<circle cx="8" cy="24" r="4"/><circle cx="24" cy="16" r="4"/></g></svg>'
)

st.set_page_config(page_title="ncore", page_icon=ICON, layout="wide")


# White on the dark theme's light blue can't be read: this blue is good for both themes. Nor can the darker blue that
# Streamlit gives to a plain button while it is pressed, or its box is open.
STYLE = (
    '<style>[data-testid="stMultiSelect"] [data-tag], button[kind^="primary"] '
    "{background: #1B6A9C !important; color: #FFF !important; border-color: #1B6A9C !important} "
    'button[kind="tertiary"]:is(:active, [aria-expanded="true"]) {color: inherit !important}</style>'
)


def main() -> None:
    """Show the page that the URL names, to those who may see it."""
    session.begin()
    st.html(STYLE)
    try:
        welcome, places = gate.is_open(), configured_stores()
    except NcoreError as error:
        ui.empty("The dashboard was started in a way that it doesn't understand.", markdown(error))
        return
    page = st.navigation(
        [
            st.Page(PAGES / "runs.py", title="Runs", icon=":material/table_rows:", default=True),
            st.Page(PAGES / "ranking.py", title="Ranking", icon=":material/leaderboard:"),
            st.Page(PAGES / "capacitance.py", title="Capacitance", icon=":material/show_chart:"),
            st.Page(PAGES / "layer_graph.py", title="Layer graph", icon=":material/hub:"),
            st.Page(PAGES / "dynamics.py", title="Edge dynamics", icon=":material/moving:"),
            st.Page(PAGES / "compare.py", title="Compare", icon=":material/compare_arrows:"),
            st.Page(PAGES / "report.py", title="Report", icon=":material/description:"),
            st.Page(PAGES / "learn.py", title="Learn", icon=":material/school:"),
            st.Page(PAGES / "playground.py", title="Playground", icon=":material/tune:"),
            st.Page(PAGES / "teachers.py", title="For teachers", icon=":material/cast_for_education:"),
        ],
        position="sidebar" if welcome else "hidden",
        expanded=True,
    )
    if not welcome:
        gate.show()
        return
    changed = st.session_state.get("page shown") != page.url_path
    if changed:
        zoom.forget_drawn()
        st.session_state["page shown"] = page.url_path
    st.session_state["places"] = places
    st.session_state["version seen"] = library(places).version()
    st.session_state["dark seen"] = ui.is_dark()
    session.publish(changed)
    sidebar.show()
    with st.sidebar:
        gate.who()
        zoom.remember_views()  # before the page, so that it listens when the first chart can be zoomed
    with turn():
        ui.guarded(page.run)()
    follow()
    warm_up()


@st.fragment(run_every=FOLLOW_EVERY)
def follow() -> None:
    """Run the page again when a run has finished an epoch, or has come or gone, or when it has become dark."""
    places = st.session_state.get("places")
    if places is None:
        return
    seen = [st.session_state.get(name) for name in ("version seen", "dark seen")]
    if [library(places).version(), ui.is_dark()] != seen:
        st.rerun()


main()
