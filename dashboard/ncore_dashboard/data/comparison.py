"""Two candidates side by side, and what differs between them in words. Nothing here needs Streamlit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ncore.network.strengths import Strength
from ncore.predict import Curve
from ncore.predict.ranker import MEASURED, probability_ahead
from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.data.clock import Clock, pace
from ncore_dashboard.data.gap import gap
from ncore_dashboard.text.phrases import called, chance, counted, difference, duration, listed

__all__ = ["Side", "in_words", "millions", "numbers", "settings_in_words", "settings_that_differ"]

_NONE = "–"
_LIKE = 0.15  # a ratio of costs or levels that is nearer to 1 than that is said to be the same


@dataclass(frozen=True)
class Side:
    """One of two candidates.

    Attributes:
        name: Of the candidate.
        curves: Its runs.
        clocks: Their wall times, of those that have some.
        row: Its row of the ranking of all candidates, empty if it has none.
        parameters: Of the model, NaN where unknown.
        bytes: Of all its runs.
    """

    name: str
    curves: Sequence[Curve]
    clocks: Sequence[Clock] = ()
    row: Mapping[str, Any] = field(default_factory=dict)
    parameters: float = math.nan
    bytes: float = math.nan

    @property
    def metric(self) -> Metric:
        """By which it is judged."""
        return get_metric(self.curves[0].metric if self.curves else ACCURACY)

    def said(self, value: float) -> str:
        """A value of that on its scale, in words."""
        return self.metric.in_words(value)

    @property
    def finals(self) -> np.ndarray:
        """Final accuracies that are known, on the scale of the metric where that is another, shape (n,)."""
        return np.array([curve.observed for curve in self.curves if math.isfinite(curve.observed)])

    @property
    def goodness(self) -> np.ndarray:
        """The same in steps of the metric's own units, higher is better."""
        return self.finals if self.metric.unit else -self.metric.off_scale(self.finals)

    def mean(self, strength: str | None = None) -> pd.Series:
        """Validation accuracy, or beta_eff of a strength, by epoch; mean over seeds, over those that have the epoch."""
        parts = [
            pd.Series(curve.accuracy if strength is None else curve.beta[strength], index=curve.epochs)
            for curve in self.curves
            if curve.epochs.size and (strength is None or strength in curve.beta)
        ]
        if not parts:
            return pd.Series(dtype=float)
        found = pd.concat(parts)
        return found[np.isfinite(found)].groupby(level=0).mean()


def in_words(first: Side, second: Side, k: int, ranking: pd.DataFrame | str) -> list[str]:
    """What differs, a sentence or two a view: prediction, outcome, curves, beta_eff, cost. Plain text.

    Args:
        first, second: The candidates.
        k: The epoch as of which they are ranked.
        ranking: Of all candidates as of that epoch, or why there is none.
    """
    said = [_prediction(first, second, k, ranking), _outcome(first, second), _course(first, second)]
    said += [_coupling(first, second), _cost(first, second)]
    return [text for text in said if text]


def _prediction(first: Side, second: Side, k: int, ranking: pd.DataFrame | str) -> str:
    """What is forecast of them; where what was measured is known, the outcome says it."""
    open_ones = [side for side in (first, second) if side.row.get("kind") != MEASURED]
    if not open_ones:
        return ""
    ahead, behind = sorted((first, second), key=lambda side: (side.row.get("rank", math.inf), side is second))
    low, high = behind.row.get("predicted", math.nan), ahead.row.get("predicted", math.nan)
    if math.isnan(low) or math.isnan(high):
        missing = [side.name for side in (first, second) if math.isnan(side.row.get("predicted", math.nan))]
        return f"As of epoch {k}, nothing can be predicted of {listed(missing)}."
    if isinstance(ranking, str):
        return ""
    label, better_is_more = ranking.attrs["label"], first.metric.higher_is_better
    if len(open_ones) == 1:
        (one,) = open_ones
        return f"As of epoch {k}, “{label}” predicts {one.said(one.row['predicted'])} for {called(one.name)}."
    if high == low:
        start = f"As of epoch {k}, “{label}” predicts the same for both, {first.said(high)}"
    else:
        start = (
            f"As of epoch {k}, “{label}” predicts {first.said(high)} for {called(ahead.name)} and {first.said(low)} "
            f"for {called(behind.name)}, {_apart(first.metric, high, low)} {'less' if better_is_more else 'more'}"
        )
    wins = probability_ahead(ranking, ahead.name, behind.name)
    return f"{start}, and {called(ahead.name)} is the better of the two with a probability of {chance(wins)}."


def _outcome(first: Side, second: Side) -> str:
    one, two = first.finals, second.finals
    if not one.size or not two.size:
        unknown = [side.name for side in (first, second) if not side.finals.size]
        return f"The final {first.metric.label} of {listed(unknown)} is not known yet."
    found = gap(first.goodness, second.goodness)
    best, other = (first, second) if found.size >= 0 else (second, first)
    if found.size == 0:
        return f"Both ended at {first.said(one.mean())}."
    means = best.finals.mean(), other.finals.mean()
    text = (
        f"{called(best.name)} ended at {first.said(means[0])}, {_apart(first.metric, *means)} "
        f"{'above' if first.metric.higher_is_better else 'below'} {called(other.name)} ({first.said(means[1])})"
    )
    if not found.known:
        return f"{text}; with one seed, chance can’t be told from a difference."
    seeds = f"{min(one.size, two.size)} or more seeds" if one.size != two.size else counted(one.size, "seed")
    width = difference(first.metric, found.half_width)
    if found.clear:
        return f"{text}: more than the seeds differ among themselves ({seeds} each, ±{width})."
    return f"{text}, which may be chance: the seeds differ as much ({seeds} each, ±{width})."


def _course(first: Side, second: Side) -> str:
    """Who was ahead when, over the epochs that both have."""
    one, two = first.mean(), second.mean()
    epochs = one.index.intersection(two.index)
    if not len(epochs):
        return ""
    lead = np.sign((one[epochs] - two[epochs]).to_numpy())
    last = int(epochs[-1])
    leader = {1.0: first, -1.0: second}.get(float(lead[-1]))
    if leader is None:
        text = f"On validation examples both are at {first.said(one[last])} after {counted(last, 'epoch')}"
    else:
        changed = np.flatnonzero(lead != lead[-1])
        since = "from the first epoch on" if not changed.size else f"since epoch {int(epochs[changed[-1] + 1])}"
        text = f"On validation examples {called(leader.name)} is ahead {since}"
        turns = int(np.count_nonzero(np.diff(lead[lead != 0])))
        if turns > 1:
            text += f"; the lead changed {turns} times"
    goal = min(float(one[last]), float(two[last]))
    reached = [int(series.index[np.argmax(series.to_numpy() >= goal)]) for series in (one, two)]
    if reached[0] != reached[1]:
        quick, slow = (first, second) if reached[0] < reached[1] else (second, first)
        text += (
            f". {called(quick.name)} reaches {first.said(goal)} after {counted(min(reached), 'epoch')}, "
            f"{called(slow.name)} after {max(reached)}"
        )
    return f"{text}."


def _apart(metric: Metric, one: float, other: float) -> str:
    """The difference of two values on the scale, in the metric's units."""
    values = metric.off_scale([one, other])
    return difference(metric, float(values[0] - values[1]))


def _coupling(first: Side, second: Side) -> str:
    """How far the relative beta_eff has fallen: the strength that can be compared between candidates."""
    one, two = first.mean(Strength.RELATIVE), second.mean(Strength.RELATIVE)
    epochs = one.index.intersection(two.index)
    if not len(epochs):
        return ""
    last = int(epochs[-1])
    levels = float(one[last]), float(two[last])
    text = f"beta_eff (relative) after {counted(last, 'epoch')} is {levels[0]:.2g} and {levels[1]:.2g}"
    if min(levels) <= 0 or abs(levels[0] / levels[1] - 1) < _LIKE:
        return f"{text}."
    nearer, further = (first, second) if levels[0] < levels[1] else (second, first)
    return (
        f"{text}: {called(nearer.name)} has less left to learn from the examples of the probe than "
        f"{called(further.name)}, which by itself doesn’t make it better."
    )


def _cost(first: Side, second: Side) -> str:
    one, two = pace(first.clocks), pace(second.clocks)
    if not (math.isfinite(one) and math.isfinite(two)) or min(one, two) <= 0:
        return "What they cost can’t be compared: no time was recorded of one of them."
    cheap, dear = (first, second) if one <= two else (second, first)
    ratio = max(one, two) / min(one, two)
    if ratio < 1 + _LIKE:
        text = f"An epoch takes about as long for one as for the other, {duration((one + two) / 2)}"
    else:
        text = (
            f"An epoch takes {duration(max(one, two))} for {called(dear.name)}, {ratio:.1f} times as long as for "
            f"{called(cheap.name)} ({duration(min(one, two))})"
        )
    sizes = first.parameters, second.parameters
    if all(size == size and size > 0 for size in sizes) and sizes[0] != sizes[1]:
        large, small = (first, second) if sizes[0] > sizes[1] else (second, first)
        text += (
            f"; {called(large.name)} has {millions(large.parameters)} parameters, {called(small.name)} "
            f"{millions(small.parameters)}"
        )
    return f"{text}."


def numbers(first: Side, second: Side) -> pd.DataFrame:
    """The two side by side: columns measure, first, second (numbers), unit ("%", "s", "MB" or empty), and direction.

    The direction is "higher", "lower" or empty: which of the two is better, where one can say that.
    """
    measured = MEASURED in {side.row.get("kind") for side in (first, second)}
    metric, ends = first.metric, ["lower", "upper"]
    better, ends = ("higher", ends) if metric.higher_is_better else ("lower", ends[::-1])
    label = f"{metric.label[:1].upper()}{metric.label[1:]}"
    rows = [
        ("Rank", [side.row.get("rank", math.nan) for side in (first, second)], "", "lower"),
        (
            f"{label} that it is ranked by" if measured else f"Predicted final {metric.label}",
            [_shown(side, "predicted") for side in (first, second)],
            metric.unit,
            better,
        ),
        ("from", [_shown(side, ends[0]) for side in (first, second)], metric.unit, ""),
        ("to", [_shown(side, ends[1]) for side in (first, second)], metric.unit, ""),
        (
            "Probability of being best",
            [100 * float(side.row.get("p_best", math.nan)) for side in (first, second)],
            "%",
            "higher",
        ),
        (
            f"Final {metric.label}",
            [metric.shown(_mean(side.finals)) for side in (first, second)],
            metric.unit,
            better,
        ),
        (
            f"Latest validation {metric.label}",
            [metric.shown(_last(side.mean())) for side in (first, second)],
            metric.unit,
            better,
        ),
        ("Latest beta_eff, relative", [_last(side.mean(Strength.RELATIVE)) for side in (first, second)], "", ""),
        ("Seeds", [len(side.curves) for side in (first, second)], "", "higher"),
        ("Time of an epoch", [pace(side.clocks) for side in (first, second)], "s", "lower"),
        ("Time of a run to its end", [_to_the_end(side) for side in (first, second)], "s", "lower"),
        ("Parameters", [side.parameters for side in (first, second)], "", "lower"),
        ("Size of all runs", [side.bytes / 1e6 for side in (first, second)], "MB", "lower"),
    ]
    return pd.DataFrame(
        [(name, *map(float, values), unit, better) for name, values, unit, better in rows],
        columns=["measure", "first", "second", "unit", "better"],
    )


def settings_that_differ(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Settings whose values are not the same in the configurations of two groups of runs.

    Args:
        first, second: Nested configurations, one a run; values that differ within a group are all listed.

    Returns:
        Columns: setting (dotted), first, second; texts, "–" where a setting is missing.

    Example:
        >>> table = settings_that_differ([{"training": {"rate": 0.1, "epochs": 5}}], [{"training": {"epochs": 5}}])
        >>> table.to_dict("records")
        [{'setting': 'training.rate', 'first': '0.1', 'second': '–'}]
    """
    sides = [_values(first), _values(second)]
    rows = [
        (name, *(", ".join(side.get(name, [_NONE])) for side in sides))
        for name in dict.fromkeys([*sides[0], *sides[1]])
    ]
    table = pd.DataFrame(rows, columns=["setting", "first", "second"])
    return table[table["first"] != table["second"]].reset_index(drop=True)


def settings_in_words(table: pd.DataFrame, first: str, second: str) -> str:
    """How many settings differ, and those of training with their values."""
    told = table[table["setting"].str.startswith("training.")] if len(table) else table
    if table.empty:
        return "No recorded setting differs between them."
    text = f"{counted(len(table), 'recorded setting')} differ{'s' if len(table) == 1 else ''}"
    if told.empty:
        return f"{text}; those of training are the same."
    shown = [
        f"{row['setting'].removeprefix('training.').replace('_', ' ')} ({row['first']} for {called(first)}, "
        f"{row['second']} for {called(second)})"
        for row in told.head(3).to_dict("records")
    ]
    more = f" and {counted(len(told) - 3, 'more setting')}" if len(told) > 3 else ""
    return f"{text}; of training: {', '.join(shown)}{more}. So the difference may not be the model’s."


def millions(count: float) -> str:
    """A large number for reading.

    Example:
        >>> millions(135_546), millions(11_689_512), millions(950)
        ('136 thousand', '11.7 million', '950')
    """
    if count >= 1e6:
        return f"{count / 1e6:.1f} million"
    return f"{count / 1e3:.0f} thousand" if count >= 1e3 else f"{count:.0f}"


def _values(configurations: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for configuration in configurations:
        for name, value in _flat(configuration):
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return {name: sorted(values) for name, values in found.items()}


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{name}.{key}" if name else str(key))]
    return [(name, _NONE if value is None or value == {} else str(value))] if name else []


def _shown(side: Side, name: str) -> float:
    return float(side.metric.shown(side.row.get(name, math.nan)))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _last(series: pd.Series) -> float:
    return float(series.iloc[-1]) if len(series) else math.nan


def _to_the_end(side: Side) -> float:
    return _mean(np.array([clock.at(clock.horizon) for clock in side.clocks]))
