"""The synapses of a small network in the phase plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ncore_dashboard.figures import base
from ncore_dashboard.figures.candidate_styles import HUES
from ncore_dashboard.learn.figures.playground import at_once, hue, nice
from ncore_dashboard.text.explanations import explanation

__all__ = ["phase"]


def phase(
    weights: Sequence[np.ndarray],
    rates: Sequence[np.ndarray],
    trails: Sequence[tuple[Sequence[np.ndarray], Sequence[np.ndarray]]] = (),
    reach: tuple[float, float] | None = None,
    dark: bool = False,
) -> dict[str, Any]:
    """The phase plane: each synapse by its weight and dw/dt, a marker for each layer, with where it came from.

    Args:
        weights, rates: Of each layer, (targets, sources).
        trails: Earlier weights and rates, the oldest first.
        reach: Largest |weight| and |rate| that the axes have to hold; by default those of now.
        dark: For a dark background.
    """
    past = list(trails)
    paths, now = [], []
    for layer, (weight, rate) in enumerate(zip(weights, rates, strict=True)):
        if past:
            gap = np.full((1, weight.size), np.nan)
            x, y = (
                np.concatenate([np.stack([*(moment[part][layer].ravel() for moment in past), last.ravel()]), gap])
                for part, last in ((0, weight), (1, rate))
            )
            paths.append(
                {
                    "type": "scatter",
                    "x": x.T.ravel().astype(np.float32),
                    "y": y.T.ravel().astype(np.float32),
                    "mode": "lines",
                    "line": {"color": hue(layer, dark), "width": 1},
                    "opacity": 0.4,
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
        target, source = np.indices(weight.shape)
        now.append(
            {
                "type": "scatter",
                "x": weight.ravel().astype(np.float32),
                "y": rate.ravel().astype(np.float32),
                "mode": "markers",
                "marker": {"color": hue(layer, dark), "symbol": HUES[layer % len(HUES)].symbol, "size": 7},
                "customdata": np.column_stack([source.ravel(), target.ravel()]).astype(np.int32),
                "name": f"layer {layer + 1}",
                "hovertemplate": f"layer {layer + 1}: %{{customdata[0]}} → %{{customdata[1]}}<br>weight %{{x:.3g}}, "
                "dw/dt %{y:.3g}<extra></extra>",
            }
        )
    line = {"zeroline": True, "zerolinecolor": base.grey(dark), "zerolinewidth": 1.5}
    most = reach or tuple(max(float(np.abs(each).max()) for each in values) for values in (weights, rates))
    return at_once(
        [*paths, *now],
        dark,
        xaxis={"title": {"text": explanation("weight").axis}, "range": _around(most[0]), **line},
        yaxis={
            "title": {"text": explanation("rate").axis},
            "range": _around(most[1]),
            "exponentformat": "power",
            **line,
        },
        showlegend=True,
    )


def _around(most: float) -> list[float]:
    end = nice(most * 1.05)
    return [-end, end]
