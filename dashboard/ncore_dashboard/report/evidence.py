"""What a report rests on: every number in it is read or computed here, none is typed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ncore.errors import StoreError
from ncore.predict import Curve, Past, Ranker, curves_from_store, get_predictor
from ncore.predict.by_class import all_metrics, classes_of
from ncore.predict.choosing import judged
from ncore.predict.paired_runs import SideBySide, on_same_examples
from ncore.predict.ranker import FORECAST, MEASURED
from ncore.predict.ranking import metric_of_recipe
from ncore.scores.metrics import ACCURACY, Metric, get_metric
from ncore_dashboard.data import rankings
from ncore_dashboard.data.clock import Clock, clock_of
from ncore_dashboard.data.rankings import Verdict
from ncore_dashboard.text.phrases import difference

if TYPE_CHECKING:
    from ncore.predict.curves import FloatArray
    from ncore.store import Manifest, Store
    from ncore.store.limits import Limits

__all__ = ["MOST_BY_CLASS", "MOST_METRICS", "Evidence", "evidence_from_store", "evidence_of"]

MOST_METRICS, MOST_BY_CLASS = 20, 5
"""Candidates of which all metrics are told, and of which each class is."""


@dataclass(frozen=True)
class Evidence:
    """The runs of one dataset and training mode, ranked as of an epoch.

    Attributes:
        dataset, mode: Of all runs.
        place: A name for where they are stored.
        curves: One a run.
        clocks: Wall times by candidate, one a run.
        candidates: All candidates of the store in the order of their first runs, for colours.
        k: The epoch as of which candidates are ranked.
        ranker: What ranks them.
        ranking: As it does.
        runs: Open runs by candidate, from which predictions of single examples are read.
    """

    dataset: str
    mode: str
    place: str
    curves: Sequence[Curve]
    clocks: Mapping[str, Sequence[Clock]]
    candidates: Sequence[str]
    k: int
    ranker: Ranker
    ranking: pd.DataFrame
    runs: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """By which candidates are ranked; values of the ranking are on its scale."""
        return get_metric(self.ranking.attrs["metric"])

    def value(self, on_scale: float) -> str:
        """A value of it in words."""
        return self.metric.in_words(on_scale)

    def apart(self, one: float, other: float) -> str:
        """The difference of two values on its scale, in words."""
        first, second = self.metric.off_scale([one, other])
        return difference(self.metric, float(first - second))

    @cached_property
    def same_examples(self) -> tuple[str, str, SideBySide] | None:
        """The winner and the next one on the same test examples; None where that is not known of both."""
        if not self.settled:
            return None
        best = self.rated.sort_values("observed", ascending=False, kind="stable")["candidate"].tolist()
        first, second = best[:2]
        if first not in self.runs or second not in self.runs:
            return None
        found = on_same_examples(self.metric, self.runs[first], self.runs[second])
        return None if isinstance(found, str) else (first, second, found)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Every metric on the test set by candidate, in their order; of those that have kept predictions."""
        return all_metrics(self._ranked_runs(MOST_METRICS))

    @cached_property
    def classes(self) -> pd.DataFrame:
        """The metric by class on the test set, of the first few that have kept predictions."""
        return classes_of(self.metric.name, self._ranked_runs(MOST_BY_CLASS))

    def _ranked_runs(self, most: int) -> dict[str, Sequence[Any]]:
        return {name: self.runs[name] for name in self.ranking["candidate"].tolist()[:most] if name in self.runs}

    @property
    def method(self) -> str:
        """Its name."""
        return str(self.ranking.attrs["method"])

    @property
    def images(self) -> int:
        """How many test examples there are, by the first run that says so; 0 where unknown."""
        return next((curve.test_images for curve in self.curves if curve.test_images), 0)

    @property
    def label(self) -> str:
        """Of the method."""
        return get_predictor(self.method).label

    @property
    def end(self) -> int:
        """The epoch at which training ends."""
        return rankings.horizon(self.curves)

    @property
    def last(self) -> int:
        """The last epoch recorded."""
        return rankings.last_epoch(self.curves)

    @cached_property
    def rated(self) -> pd.DataFrame:
        """The rows of the ranking that have a prediction; the first is the choice as of epoch k."""
        return self.ranking[self.ranking["predicted"].notna()].reset_index(drop=True)

    @cached_property
    def foretold(self) -> pd.DataFrame:
        """Those of them that are forecasts."""
        return self.rated[self.rated["kind"] == FORECAST]

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Those of them that ended by epoch k."""
        return self.rated[self.rated["kind"] == MEASURED]

    @cached_property
    def verdict(self) -> Verdict:
        """How the ranking did, against the final accuracies that are known."""
        return rankings.verdict(self.ranking)

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """Rankings as of every epoch, below each other."""
        epochs = rankings.epochs_to_show(self.last, self.k)
        return rankings.below_each_other({k: rankings.ranking(self.curves, self.ranker, k) for k in epochs})

    @cached_property
    def methods(self) -> pd.DataFrame:
        """All methods as of epoch k, judged by what is known."""
        return rankings.compare_methods(self.curves, self.ranker.past, self.k)

    @cached_property
    def learning(self) -> pd.DataFrame:
        """Validation accuracy: columns candidate, seed, epoch and accuracy."""
        parts = [
            pd.DataFrame(
                {"candidate": curve.candidate, "seed": curve.seed, "epoch": curve.epochs, "accuracy": curve.accuracy}
            )
            for curve in self.curves
            if curve.epochs.size
        ]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def finals(self) -> dict[str, FloatArray]:
        """Final accuracies over seeds by candidate, of those that have one."""
        found: dict[str, list[float]] = {}
        for curve in self.curves:
            if math.isfinite(curve.observed):
                found.setdefault(curve.candidate, []).append(curve.observed)
        return {candidate: np.array(values) for candidate, values in found.items()}

    @property
    def settled(self) -> bool:
        """Whether the final accuracy of every candidate that was ranked is known, and there are several."""
        return len(self.rated) > 1 and bool(self.rated["observed"].notna().all())

    @property
    def winner(self) -> str:
        """The candidate with the highest known final accuracy, the one that was ranked higher if several have it."""
        return str(self.rated.loc[self.rated["observed"].idxmax(), "candidate"])

    def shortlist(self, certainty: float = 0.9) -> tuple[list[str], float]:
        """The fewest candidates among which the best one is with this probability, and that probability."""
        table = self.rated.sort_values("p_best", ascending=False, kind="stable")
        total = table["p_best"].cumsum().to_numpy()
        count = min(int(np.searchsorted(total, certainty - 1e-9)) + 1, len(table))
        return table["candidate"].head(count).tolist(), min(float(total[count - 1]), 1.0)

    def seconds(self, candidates: Sequence[str], begin: float, end: float | None = None) -> float:
        """Time of all runs of these candidates from one epoch to another one, or to their end; NaN if unknown."""
        times = [
            clock.at(clock.horizon if end is None else min(end, clock.horizon)) - clock.at(min(begin, clock.horizon))
            for candidate in candidates
            for clock in self.clocks.get(candidate, ())
        ]
        return sum(times) if times else math.nan

    def seed_seconds(self, candidates: Sequence[str], end: float | None = None) -> float:
        """Time of one more run of each of these candidates, up to an epoch or to its end; NaN if unknown."""
        times = []
        for candidate in candidates:
            clocks = self.clocks.get(candidate, ())
            times.append(
                np.mean([clock.at(clock.horizon if end is None else min(end, clock.horizon)) for clock in clocks])
                if clocks
                else math.nan
            )
        return float(sum(times))


def evidence_of(
    curves: Sequence[Curve],
    clocks: Mapping[str, Sequence[Clock]],
    *,
    dataset: str,
    mode: str,
    epochs: int | None,
    method: str,
    past: Past | None = None,
    place: str = "",
    candidates: Sequence[str] = (),
    runs: Mapping[str, Sequence[Any]] | None = None,
    under: Limits | None = None,
) -> Evidence:
    """Rank these runs by the metric that their curves are of, as of an epoch or as of now.

    Raises:
        InputError: They can't be ranked, as :func:`ncore.predict.rank_curves` says.
    """
    metric = next((curve.metric for curve in curves), ACCURACY)
    ranker = Ranker(method, past or Past([dataset], mode, metric=metric))
    epochs = max(rankings.last_epoch(curves), 1) if epochs is None else epochs
    table = ranker.rank(curves, epochs=epochs, under=under)
    curves = judged(curves, table)
    names = list(candidates) or list(dict.fromkeys(curve.candidate for curve in curves))
    return Evidence(dataset, mode, place, curves, clocks, names, epochs, ranker, table, runs or {})


def evidence_from_store(
    store: Store,
    dataset: str | None,
    epochs: int | None,
    method: str,
    mode: str | None,
    place: str,
    metric: str | None = None,
    under: Limits | None = None,
) -> Evidence:
    """Read the runs of a store and rank them; errors as in :func:`ncore.rank`."""
    get_predictor(method)
    once = _Once(store)
    metric = metric_of_recipe(once, dataset, mode) if metric is None else get_metric(metric).name
    curves = curves_from_store(once, dataset=dataset, mode=mode, metric=metric)
    runs = once.runs()
    for column, wanted in (("dataset", dataset), ("mode", mode)):
        if wanted is not None:
            runs = runs[runs[column] == wanted]
    rows = runs[runs["candidate"].notna()].to_dict("records")
    clocks: dict[str, list[Clock]] = {}
    opened: dict[str, list[Any]] = {}
    for row in rows:
        try:
            clock = clock_of(once.run(row["run"]).metrics(), row)
            opened.setdefault(row["candidate"], []).append(once.run(row["run"]))
        except StoreError:  # its curve says so
            continue
        if clock.horizon > 0:
            clocks.setdefault(row["candidate"], []).append(clock)
    dataset = dataset or str(rows[0]["dataset"] if rows else "")
    mode = mode or str(rows[0]["mode"] if rows else "")
    return evidence_of(
        curves,
        clocks,
        dataset=dataset,
        mode=mode,
        epochs=epochs,
        method=method,
        past=Past.of(once, dataset, mode, metric),
        place=place,
        runs=opened,
        candidates=once.runs()["candidate"].dropna().drop_duplicates().tolist(),
        under=under,
    )


class _Once:
    """A store whose listing and tables are read once."""

    def __init__(self, store: Store) -> None:
        self._store, self._listing = store, store.runs()
        self._runs: dict[str, _Tables] = {}

    def runs(self) -> pd.DataFrame:
        return self._listing

    def run(self, run_id: str, /) -> _Tables:
        if run_id not in self._runs:
            self._runs[run_id] = _Tables(self._store, run_id)
        return self._runs[run_id]


class _Tables:
    def __init__(self, store: Store, run_id: str) -> None:
        self._run = store.run(run_id)

    @cached_property
    def _metrics(self) -> pd.DataFrame:
        return self._run.metrics()

    def metrics(self) -> pd.DataFrame:
        return self._metrics

    def capacitance(self) -> pd.DataFrame:
        return self._run.capacitance()

    def predictions(self, *args: Any, **given: Any) -> pd.DataFrame:
        return self._run.predictions(*args, **given)

    def recorded_epochs(self, table: str) -> list[int]:
        return self._run.recorded_epochs(table)

    @property
    def manifest(self) -> Manifest:
        return self._run.manifest
