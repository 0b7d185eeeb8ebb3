"""What one sees of a chart (zoom, hidden traces) outlives its data.

Streamlit puts a new chart in place when the data change, and with it the zoom is gone. So a few lines of JavaScript
report every zoom and every hidden trace to the session, and the next version of the chart is drawn with them. It says
with which, so that the browser asks for it again if something was zoomed or hidden while it was on its way. A chart
whose data did not change is sent exactly as before, so that it is left alone. The same lines put "Download as SVG"
beside Plotly's own "Download as PNG".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import plotly.io as pio
import streamlit as st

__all__ = ["PREFIX", "apply_view", "checked", "forget_drawn", "remember_views", "with_view"]

PREFIX = "chart-"  # the script has it too
_KEPT, _DRAWN = "views kept", "views drawn"
_AXIS = re.compile(r"[xy]axis[0-9]{0,2}")
_MOST, _MOST_HIDDEN = 200, 1000  # charts, and hidden traces of a chart

_SCRIPT = """
const PREFIX = "st-key-chart-";

export default function ({ parentElement, setStateValue }) {
  const views = (parentElement.ncoreViews ??= {});
  const asked = (parentElement.ncoreAsked ??= {});
  const attached = new Map();
  let timer;

  const keyOf = (plot) => {
    if (plot.layout?.meta?.key) return plot.layout.meta.key;
    const box = plot.closest(`[class*="${PREFIX}"]`);
    const name = box && [...box.classList].find((item) => item.startsWith(PREFIX));
    return name ? name.slice(PREFIX.length) : null;
  };
  const report = () => {
    clearTimeout(timer);
    parentElement.ncoreUnsent = true;
    timer = setTimeout(() => {
      parentElement.ncoreUnsent = false;
      setStateValue("views", structuredClone(views));
    }, 200);
  };
  const told = ({ axes = {}, hidden = [] } = {}) =>
    JSON.stringify([Object.entries(axes).sort(), [...hidden].sort()]);
  // With which view the server drew it.
  const drawn = (plot) => structuredClone(plot.layout?.meta?.view ?? {});
  const change = (plot, key, how) => {
    const view = (views[key] ??= { axes: {}, hidden: [], ...drawn(plot) });
    how(view);
    delete asked[key];
    if (!plot.isConnected) for (const [other, { key: its }] of attached) if (its === key) check(other, key);
    report();
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
    [...new Set(plot.data.filter((trace) => trace.visible === "legendonly").map((trace) => String(trace.name)))];
  const relayout = (plot, key) => (changes) => {
    const names = Object.keys(changes).map((name) => /^([xy]axis\\d*)\\.(range|autorange)/.exec(name)).filter(Boolean);
    if (!names.length) return;
    change(plot, key, (view) => {
      for (const { 0: name, 1: axis, 2: what } of names) {
        if (what === "autorange" && changes[name]) delete view.axes[axis];
        else if (plot._fullLayout?.[axis]) view.axes[axis] = [...plot._fullLayout[axis].range];
      }
    });
  };
  const restyle = (plot, key) => () => change(plot, key, (view) => { view.hidden = hidden(plot); });
  // Plotly waits for a second click before it answers the first, and forgets it if the chart is replaced meanwhile.
  const legendClick = (plot, key) => ({ curveNumber }) => {
    const clicked = plot.data[curveNumber];
    const group = plot.data.filter(
      (trace) => trace === clicked || (clicked.legendgroup && trace.legendgroup === clicked.legendgroup),
    );
    const names = new Set(group.map((trace) => String(trace.name)));
    const others = hidden(plot).filter((name) => !names.has(name));
    change(plot, key, (view) => {
      view.hidden = clicked.visible === "legendonly" ? others : [...others, ...names];
    });
  };
  // A new chart can have been on its way while the old one was zoomed, or a trace hidden: ask for it again, once.
  const check = (plot, key) => {
    const question = JSON.stringify([told(views[key]), told(drawn(plot))]);
    if (!(key in views) || told(views[key]) === told(drawn(plot)) || asked[key] === question) return;
    asked[key] = question;
    views[key].redraw = Date.now();
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
        plotly_legendclick: legendClick(plot, key),
        plotly_afterplot: addSvgButton(plot),
      };
      for (const [event, listener] of Object.entries(listeners)) plot.on(event, listener);
      attached.set(plot, { key, listeners });
      listeners.plotly_afterplot();
      const before = drawn(plot);
      const view = { axes: { ...before.axes, ...zoomed(plot) }, hidden: hidden(plot) };
      if (!(key in views) && told(view) !== told()) {
        views[key] = view;
        report();
      }
      check(plot, key);
    }
  };
  const observer = new MutationObserver(attach);
  observer.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
  attach();
  if (parentElement.ncoreUnsent) report(); // of before this was begun anew
  return () => {
    observer.disconnect();
    clearTimeout(timer);
    for (const [plot, { listeners }] of attached)
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


def with_view(spec: dict[str, Any], key: str) -> dict[str, Any]:
    """The chart as it was last zoomed under this key, or, if its data did not change, just as it was drawn before."""
    drawn: dict[str, tuple[str, dict[str, Any]]] = st.session_state.setdefault(_DRAWN, {})
    content = sha256(pio.to_json(spec, validate=False).encode()).hexdigest()
    if drawn.get(key, ("", {}))[0] != content:
        drawn[key] = content, st.session_state.get(_KEPT, {}).get(key, {})
    seen = apply_view(spec, drawn[key][1])
    seen["layout"]["datarevision"] = content[:16]
    seen["layout"]["meta"] = {**seen["layout"].get("meta", {}), "key": key}
    return seen


def apply_view(spec: dict[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    """Set axis ranges and hide traces of a chart, in place, as a view says; its ``meta`` then tells which view it was.

    Args:
        spec: Of the chart, with ``data`` and ``layout``.
        view: As :func:`checked` returns it.
    """
    layout = spec["layout"]
    for axis, limits in view.get("axes", {}).items():
        if axis in layout:
            layout[axis] = {**layout[axis], "range": limits, "autorange": False}
    hidden = set(view.get("hidden", ()))
    for trace in spec["data"]:
        if trace.get("name") in hidden:
            trace["visible"] = "legendonly"
    told = {name: view[name] for name in ("axes", "hidden") if view.get(name)}
    if told:
        layout["meta"] = {"view": told}
    return spec


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
            "hidden": [name for name in hidden if isinstance(name, str)][:_MOST_HIDDEN]
            if isinstance(hidden, list)
            else [],
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
