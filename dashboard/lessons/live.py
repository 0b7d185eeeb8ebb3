"""Charts that move: drawn anew in place, several times a second, where ``st.plotly_chart`` puts a new one each time.

Streamlit names a chart by its content, so a chart whose data change is taken out and another put in: it flickers, and
zoom and hover are gone. Here the element stays and Plotly.js replaces what differs. Streamlit's copy of Plotly.js can't
be reached from outside, so the page gets the one of the Python package, once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from plotly.offline import get_plotlyjs

from dashboard import ui
from dashboard.plaintext import plain
from dashboard.views import PREFIX

_SCRIPT = """
const library = () =>
  new Promise((found) => {
    const look = () => (window.Plotly?.react ? found(window.Plotly) : setTimeout(look, 30));
    look();
  });

// While one version is being drawn only the latest of those that come is kept. The first version is always drawn; later
// ones wait while they are out of sight.
const draw = async (box) => {
  if (box.ncoreBusy) return;
  box.ncoreBusy = true;
  const plotly = await library();
  while (box.ncoreNext && (box.ncoreSeen || !box.dataset.frame) && box.isConnected) {
    const { figure, config, frame } = box.ncoreNext;
    box.ncoreNext = null;
    try {
      const { data, layout } = JSON.parse(figure);
      await plotly.react(box, data, layout, { ...config, responsive: true });
    } catch (fault) {
      console.error(fault);
    }
    box.dataset.frame = frame;
    if (!box.ncoreHeard && typeof box.on === "function") {
      box.ncoreHeard = true;
      box.on("plotly_click", ({ points }) => box.ncoreClicked?.(points[0]?.customdata));
      new ResizeObserver(() => box.isConnected && box.ncoreSeen && plotly.Plots.resize(box)).observe(box.parentElement);
    }
  }
  box.ncoreBusy = false;
};

const watch = (box) =>
  new IntersectionObserver((found) => {
    box.ncoreSeen = found.at(-1).isIntersecting;
    if (box.ncoreSeen) draw(box);
  }, { rootMargin: "150px" }).observe(box);

export default function ({ parentElement, data, setTriggerValue }) {
  const box = parentElement.querySelector(".ncore-live");
  box.setAttribute("role", "figure");
  box.setAttribute("aria-label", data.alt);
  box.style.height = `${data.height}px`;
  box.ncoreClicked = (custom) => custom && setTriggerValue("clicked", JSON.parse(JSON.stringify(custom)));
  box.ncoreNext = data;
  if (box.ncoreSeen === undefined) {
    box.ncoreSeen = false;
    watch(box);
  }
  draw(box);
  return () => setTimeout(() => box.isConnected || window.Plotly?.purge(box), 0);
}
"""

# The next frame is asked for when the last one has been drawn, so that this one is drawn while the next is computed. A
# timer would ask faster than a busy machine can draw, and a click on Pause would wait behind all those frames.
_PACER = """
export default function ({ parentElement, data, setTriggerValue }) {
  clearTimeout(parentElement.ncoreTimer);
  if (!data.running) return;
  const begun = performance.now();
  const waits = (box) => box.ncoreSeen && !(Number(box.dataset.frame) >= data.frame - 1);
  const look = () => {
    const past = performance.now() - begun;
    const drawing = [...document.querySelectorAll(".ncore-live")].some(waits);
    if (past >= data.every && (!drawing || past > 5000)) setTriggerValue("next", data.frame);
    else parentElement.ncoreTimer = setTimeout(look, 15);
  };
  look();
  return () => clearTimeout(parentElement.ncoreTimer);
}
"""


@lru_cache(maxsize=1)
def _library() -> str:
    return get_plotlyjs() + "\nexport default function () {}\n"


def begin() -> None:
    """To be called once on a page with live charts, outside of fragments: it brings Plotly.js."""
    st.components.v2.component("ncore_plotly", js=_library())(key="plotly-library", height="content")


def chart(
    figure: go.Figure,
    key: str,
    alt: str,
    data: Callable[[], pd.DataFrame],
    file: str = "",
    frame: int = 0,
    on_click: Callable[[Any], None] | None = None,
) -> None:
    """A figure that is replaced in place; its zoom stays until its key changes.

    Args:
        figure: with a height.
        key: unique on the page.
        alt: what the chart shows, for those who don't see it.
        data: what is drawn, asked for when it is saved.
        file: name of downloads, without its ending; the key by default.
        frame: number of the version, in the page as ``data-frame`` once it is drawn.
        on_click: called with the ``customdata`` of a point that is clicked.
    """
    name = file or key
    figure.layout.uirevision = key
    figure.layout.autosize = True
    config = {
        "displaylogo": False,
        "doubleClick": "autosize",
        "modeBarButtonsToRemove": ["resetScale2d", "select2d", "lasso2d"],
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": f"ncore-{name}"},
    }
    component = st.components.v2.component(
        "ncore_live_chart", html='<div class="ncore-live"></div>', js=_SCRIPT, isolate_styles=False
    )

    def clicked() -> None:
        if on_click is not None:
            on_click(st.session_state[f"live-{key}"].get("clicked"))

    with st.container(key=f"{PREFIX}{key}", gap="xxsmall"):
        component(
            key=f"live-{key}",
            data={
                "figure": figure.to_json(validate=False),
                "config": config,
                "alt": plain(alt),
                "height": int(figure.layout.height),
                "frame": frame,
            },
            height="content",
            on_clicked_change=clicked,
        )
        st.download_button(
            "Data as CSV",
            data=lambda: ui.to_csv(data()),
            file_name=f"ncore-{name}.csv",
            mime="text/csv",
            key=f"csv-{key}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def pacer(running: bool, frame: int, on_next: Callable[[], None], every: float = 0.1) -> None:
    """Ask for the next frame of this fragment when the charts of this one are drawn.

    Args:
        running: whether there is to be a next one.
        frame: number of this one, as given to :func:`chart`.
        on_next: called before the next frame is drawn.
        every: seconds between frames, at least.
    """
    component = st.components.v2.component("ncore_pacer", js=_PACER)
    component(
        key="live-pacer",
        data={"running": running, "frame": frame, "every": 1000 * every},
        height="content",
        on_next_change=on_next,
    )
