"""What one sees of a chart (zoom, hidden traces) outlives its data.

Streamlit puts a new chart in place when the data change, and with it the zoom is gone. So a few lines of JavaScript
report every zoom to the session, and the next version of the chart is drawn with it. A chart whose data did not
change is sent exactly as before, so that it is left alone. The same lines put "Download as SVG" beside
Plotly's own "Download as PNG".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import plotly.graph_objects as go
import streamlit as st

PREFIX = "chart-"  # the script has it too
_KEPT, _DRAWN = "views kept", "views drawn"
_AXIS = re.compile(r"[xy]axis[0-9]{0,2}")
_MOST = 200  # charts, and hidden traces of a chart

_SCRIPT = """
const PREFIX = "st-key-chart-";

export default function ({ parentElement, setStateValue }) {
  const views = (parentElement.ncoreViews ??= {});
  const asked = (parentElement.ncoreAsked ??= {});
  const attached = new Map();
  let timer;

  const keyOf = (plot) => {
    const box = plot.closest(`[class*="${PREFIX}"]`);
    const name = box && [...box.classList].find((item) => item.startsWith(PREFIX));
    return name ? name.slice(PREFIX.length) : null;
  };
  const report = () => {
    clearTimeout(timer);
    timer = setTimeout(() => setStateValue("views", JSON.parse(JSON.stringify(views))), 200);
  };
  // What was zoomed before anybody listened, in an axis's own words: its range is no longer the one it began with.
  const zoomed = (plot) => {
    const axes = {};
    for (const [name, axis] of Object.entries(plot._fullLayout ?? {})) {
      if (!/^[xy]axis\\d*$/.test(name) || axis.autorange) continue;
      const begun = [axis._rangeInitial0, axis._rangeInitial1];
      if (axis.range.some((limit, i) => limit !== begun[i])) axes[name] = [...axis.range];
    }
    return axes;
  };
  const hidden = (plot) =>
    plot.data.filter((trace) => trace.visible === "legendonly").map((trace) => String(trace.name));
  const relayout = (plot, key) => (change) => {
    const view = (views[key] ??= { axes: {}, hidden: [] });
    for (const name of Object.keys(change)) {
      const axis = /^([xy]axis\\d*)\\.(range|autorange)/.exec(name);
      if (!axis) continue;
      if (axis[2] === "autorange" && change[name]) delete view.axes[axis[1]];
      else if (plot._fullLayout?.[axis[1]]) view.axes[axis[1]] = [...plot._fullLayout[axis[1]].range];
    }
    report();
  };
  const restyle = (plot, key) => () => {
    const view = (views[key] ??= { axes: {}, hidden: [] });
    view.hidden = hidden(plot);
    report();
  };
  // A new chart can have been on its way while the old one was zoomed: ask for it again, once.
  const check = (plot, key) => {
    const axes = Object.entries(views[key]?.axes ?? {});
    const wanted = JSON.stringify(axes);
    const agrees = ([axis, range]) => {
      const found = plot._fullLayout?.[axis]?.range;
      return !found || range.every((limit, i) => Math.abs(limit - found[i]) <= 1e-6 * Math.abs(range[1] - range[0]));
    };
    if (axes.every(agrees) || asked[key] === wanted) return;
    asked[key] = wanted;
    views[key].redraw = (views[key].redraw ?? 0) + 1;
    report();
  };
  const addSvgButton = (plot) => () => {
    const camera = plot.querySelector('.modebar-btn[data-title^="Download plot"]');
    if (!camera || camera.parentElement.querySelector(".ncore-svg")) return;
    const button = camera.cloneNode(true);
    button.classList.add("ncore-svg");
    button.setAttribute("data-title", "Download plot as an SVG");
    button.setAttribute("aria-label", "Download plot as an SVG");
    const icon = button.querySelector("svg");
    if (icon) icon.innerHTML = '<text x="500" y="680" text-anchor="middle" font-size="480">SVG</text>';
    icon?.setAttribute("viewBox", "0 0 1000 1000");
    button.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      const options = plot._context.toImageButtonOptions;
      plot._context.toImageButtonOptions = { ...options, format: "svg", scale: 1 };
      camera.click();
      plot._context.toImageButtonOptions = options;
    });
    camera.after(button);
  };
  const attach = () => {
    for (const plot of [...attached.keys()]) if (!plot.isConnected) attached.delete(plot);
    for (const plot of document.querySelectorAll(`[class*="${PREFIX}"] .js-plotly-plot`)) {
      const key = keyOf(plot);
      if (attached.has(plot) || !key || typeof plot.on !== "function") continue;
      const listeners = {
        plotly_relayout: relayout(plot, key),
        plotly_restyle: restyle(plot, key),
        plotly_afterplot: addSvgButton(plot),
      };
      for (const [event, listener] of Object.entries(listeners)) plot.on(event, listener);
      attached.set(plot, listeners);
      listeners.plotly_afterplot();
      const view = { axes: zoomed(plot), hidden: hidden(plot) };
      if (!(key in views) && (Object.keys(view.axes).length || view.hidden.length)) {
        views[key] = view;
        report();
      }
      check(plot, key);
    }
  };
  const observer = new MutationObserver(attach);
  observer.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
  attach();
  return () => {
    observer.disconnect();
    clearTimeout(timer);
    for (const [plot, listeners] of attached)
      for (const [event, listener] of Object.entries(listeners)) plot.removeListener?.(event, listener);
  };
}
"""


@st.fragment
def remember_views() -> None:
    """Listen to the charts of the page; a zoom reruns this alone."""
    listener = st.components.v2.component("ncore_chart_views", js=_SCRIPT)
    found = listener(key="chart-views", default={"views": {}}, on_views_change=lambda: None, height="content")
    kept: dict[str, dict[str, Any]] = st.session_state.setdefault(_KEPT, {})
    reported = checked(found.get("views"))
    again = [key for key, view in reported.items() if view["redraw"] > kept.get(key, {}).get("redraw", 0)]
    kept.update(reported)
    if again:
        for key in again:
            st.session_state.get(_DRAWN, {}).pop(key, None)
        st.rerun()


def forget_drawn() -> None:
    """To be called when a page is opened: its charts are drawn anew, with the latest views."""
    st.session_state[_DRAWN] = {}


def with_view(figure: go.Figure, key: str) -> go.Figure:
    """The figure as it was last zoomed under this key, or, if its data did not change, just as it was drawn before."""
    drawn: dict[str, tuple[str, dict[str, Any]]] = st.session_state.setdefault(_DRAWN, {})
    content = sha256(figure.to_json(validate=False).encode()).hexdigest()
    if drawn.get(key, ("", {}))[0] != content:
        drawn[key] = content, st.session_state.get(_KEPT, {}).get(key, {})
    return apply_view(figure, drawn[key][1])


def apply_view(figure: go.Figure, view: Mapping[str, Any]) -> go.Figure:
    """Set axis ranges and hide traces as a view says."""
    for axis, limits in view.get("axes", {}).items():
        if figure.layout[axis] is not None:
            figure.layout[axis].update(range=limits, autorange=False)
    hidden = set(view.get("hidden", ()))
    for trace in figure.data if hidden else ():
        if trace.name in hidden:
            trace.visible = "legendonly"
    return figure


def checked(views: Any) -> dict[str, dict[str, Any]]:
    """What of a browser's report makes sense: it can hold anything.

    Example:
        >>> checked({"beta": {"axes": {"xaxis": [0, 5], "yaxis": [1, None], "font": [1, 2]}, "hidden": ["vit", 3]}})
        {'beta': {'axes': {'xaxis': [0.0, 5.0]}, 'hidden': ['vit'], 'redraw': 0}}
    """
    found: dict[str, dict[str, Any]] = {}
    for key, view in list(views.items())[:_MOST] if isinstance(views, dict) else ():
        if not isinstance(key, str) or not isinstance(view, dict):
            continue
        axes, hidden, redraw = view.get("axes"), view.get("hidden"), view.get("redraw")
        found[key] = {
            "axes": {
                axis: [float(limit) for limit in limits]
                for axis, limits in (axes.items() if isinstance(axes, dict) else ())
                if isinstance(axis, str) and _AXIS.fullmatch(axis) and _is_range(limits)
            },
            "hidden": [name for name in hidden if isinstance(name, str)][:_MOST] if isinstance(hidden, list) else [],
            "redraw": redraw if isinstance(redraw, int) else 0,
        }
    return found


def _is_range(limits: Any) -> bool:
    return (
        isinstance(limits, list)
        and len(limits) == 2
        and all(isinstance(limit, int | float) and math.isfinite(limit) for limit in limits)
        and limits[0] != limits[1]
    )
