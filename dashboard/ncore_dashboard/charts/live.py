"""Charts that move: drawn anew in place, several times a second, where ``st.plotly_chart`` puts a new one each time.

Streamlit names a chart by its content, so a chart whose data change is taken out and another put in: it flickers, and
zoom and hover are gone. Here the element stays and Plotly.js replaces what differs. Streamlit's copy of Plotly.js can't
be reached from outside, so the page gets the one of the Python package, once.

While charts run, each frame is painted on canvases (``paint``), as a film brings it (``film``). A chart under the
pointer or with the keyboard's focus, and every chart that stands still, is drawn by Plotly.js.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from plotly.offline import get_plotlyjs

from ncore_dashboard.charts import paint
from ncore_dashboard.charts.download import download
from ncore_dashboard.charts.zoom import PREFIX
from ncore_dashboard.text.plaintext import plain

__all__ = ["Picture", "begin", "chart", "numbers"]

_SCRIPT = """
const library = () =>
  new Promise((found) => {
    const look = () => (window.Plotly?.react && window.ncorePaint ? found(window.Plotly) : setTimeout(look, 30));
    look();
  });

// While one version is being drawn only the latest of those that come is kept. The first version is always drawn; later
// ones wait while they are out of sight.
const draw = async (box) => {
  if (box.ncoreBusy) return;
  box.ncoreBusy = true;
  const plotly = await library();
  while (box.ncoreNext && (box.ncoreSeen || !box.dataset.frame) && box.isConnected) {
    const shown = (box.ncoreLast = box.ncoreNext);
    box.ncoreNext = null;
    try {
      const figure = JSON.parse(shown.figure);
      const quick = Boolean(shown.moving) && !box.matches(":hover, :focus-within");
      const painted = quick && (await window.ncorePaint.paint(box, figure));
      if (!painted) {
        const around = window.ncorePaint.around(figure);
        await plotly.react(box, figure.data, figure.layout, { ...box.ncoreConfig, responsive: true });
        box.ncoreAround = around;
      }
      box.classList.toggle("ncore-painted", painted);
    } catch (fault) {
      console.error(fault);
    }
    box.setAttribute("aria-label", shown.alt);
    box.nextElementSibling.textContent = shown.note;
    box.dataset.frame = shown.frame;
    if (!box.ncoreHeard && typeof box.on === "function") {
      box.ncoreHeard = true;
      box.on("plotly_click", ({ points }) => box.ncoreClicked?.(points[0]?.customdata));
      box.addEventListener("pointerenter", () => {
        if (box.classList.contains("ncore-painted")) box.ncoreShow(box.ncoreNext ?? box.ncoreLast);
      });
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
  box.style.height = `${data.height}px`;
  box.dataset.key = data.key;
  box.ncoreConfig = data.config;
  box.ncoreClicked = (custom) => custom && setTriggerValue("clicked", JSON.parse(JSON.stringify(custom)));
  box.ncoreShow = (version) => {
    box.ncoreNext = version;
    draw(box);
  };
  if (box.ncoreSeen === undefined) {
    box.ncoreSeen = false;
    watch(box);
  }
  // Streamlit may come again with what it had, and by then a film has gone on.
  const { figure, frame } = data;
  if (box.ncoreGiven?.figure !== figure || box.ncoreGiven.frame !== frame) box.ncoreShow((box.ncoreGiven = data));
  return () => setTimeout(() => box.isConnected || window.Plotly?.purge(box), 0);
}
"""

_NUMBERS_STYLE = """
.ncore-numbers { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; margin: 0; }
.ncore-numbers div { width: 7.5rem; }
.ncore-numbers dt { font-size: 0.875rem; }
.ncore-numbers dd { font-size: 2rem; line-height: 1.3; margin: 0; font-variant-numeric: tabular-nums; }
"""
_NUMBERS = """
export default function ({ parentElement, data }) {
  const list = parentElement.querySelector(".ncore-numbers");
  list.dataset.key = data.key;
  list.ncoreSay = (values) =>
    list.replaceChildren(...Object.entries(values).map(([name, value]) => {
      const pair = document.createElement("div");
      for (const [tag, text] of [["dt", name], ["dd", value]])
        pair.appendChild(document.createElement(tag)).textContent = text;
      return pair;
    }));
  // Streamlit may come again with what it had, and by then a film has gone on.
  if (list.dataset.frame !== `${data.frame}`) list.ncoreSay(data.values);
  list.dataset.frame = data.frame;
}
"""


@dataclass(frozen=True)
class Picture:
    """A chart at a moment.

    Attributes:
        key: Unique on the page; the chart's zoom stays until it changes.
        figure: ``data`` and ``layout`` for Plotly.js, with a height; arrays may be NumPy's.
        alt: What the chart shows, for those who don't see it.
        data: What is drawn, asked for when it is saved.
        file: Name of downloads, without its ending.
        note: A sentence below it.
        on_click: Called with the ``customdata`` of a point that is clicked.
    """

    key: str
    figure: dict[str, Any]
    alt: str
    data: Callable[[], pd.DataFrame]
    file: str
    note: str = ""
    on_click: Callable[[Any], None] | None = None

    def sent(self) -> dict[str, str]:
        """What the browser gets of it in each frame."""
        layout = {**self.figure["layout"], "uirevision": self.key, "autosize": True}
        figure = json.dumps({**self.figure, "layout": layout}, default=_typed, separators=(",", ":"))
        return {"key": self.key, "figure": figure, "alt": plain(self.alt), "note": plain(self.note)}


def _typed(value: Any) -> Any:
    """An array as Plotly.js reads it without a list of texts: its bytes, in base64."""
    if isinstance(value, np.ndarray):
        array = value.astype(np.int32) if value.dtype == np.int64 else value
        shape = {"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else {}
        data = base64.b64encode(array.tobytes()).decode()
        return {"dtype": f"{array.dtype.kind}{array.dtype.itemsize}", "bdata": data, **shape}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value)} can't be sent to the browser.")


@lru_cache(maxsize=1)
def _library() -> str:
    return f"{get_plotlyjs()}\n{paint.SCRIPT}\nexport default function () {{}}\n"


def begin() -> None:
    """To be called once on a page with live charts, outside of fragments: it brings Plotly.js."""
    st.components.v2.component("ncore_plotly", js=_library())(key="plotly-library", height="content")


def chart(picture: Picture, frame: int = 0) -> None:
    """A figure that is replaced in place.

    Args:
        picture: What it shows.
        frame: Number of the version, in the page as ``data-frame`` once it is drawn.
    """
    key, on_click = picture.key, picture.on_click
    config = {
        "displaylogo": False,
        "doubleClick": "autosize",
        "modeBarButtonsToRemove": ["resetScale2d", "select2d", "lasso2d"],
        "toImageButtonOptions": {"format": "png", "scale": 2, "filename": f"ncore-{picture.file}"},
    }
    component = st.components.v2.component(
        "ncore_live_chart",
        html='<div class="ncore-live"></div><p class="ncore-note"></p>',
        css=paint.STYLE,
        js=_SCRIPT,
        isolate_styles=False,
    )

    def clicked() -> None:
        if on_click is not None:
            on_click(st.session_state[f"live-{key}"].get("clicked"))

    with st.container(key=f"{PREFIX}{key}", gap="xxsmall"):
        component(
            key=f"live-{key}",
            data={
                **picture.sent(),
                "config": config,
                "height": int(picture.figure["layout"]["height"]),
                "frame": frame,
            },
            height="content",
            on_clicked_change=clicked,
        )
        download(picture.data, f"csv-{key}", picture.file)


def numbers(values: Mapping[str, str], key: str, frame: int) -> None:
    """Numbers with their names, which a film changes in place; ``frame`` as for :func:`chart`."""
    component = st.components.v2.component(
        "ncore_live_numbers",
        html='<dl class="ncore-numbers"></dl>',
        css=_NUMBERS_STYLE,
        js=_NUMBERS,
        isolate_styles=False,
    )
    component(
        key=f"live-{key}", data={"values": dict(values), "key": key, "frame": frame}, height="content", width="content"
    )
