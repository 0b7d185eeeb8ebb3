"""The one entrance to rankings: what may be learned from, a method, and the table that it makes of learning curves.

``ncore.rank``, the commands, the dashboard's pages, reports, and whatever stops training early ask here, so that all of
them give one answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from statistics import NormalDist

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.predict.calibration import LEVEL
from ncore.predict.choosing import Choice, best_variants
from ncore.predict.combining import combine, forecasts, probability_of_best
from ncore.predict.curves import Curve, StoreLike
from ncore.predict.experience import Task, finished_curves, in_order, tasks_of
from ncore.predict.forecast import Forecast, Predictor
from ncore.predict.limiting import within
from ncore.predict.measured import measured
from ncore.predict.predictors.registry import DEFAULT_METHOD, get_predictor, taught
from ncore.predict.sketches import Sketch, alike, recognised
from ncore.predict.stopping import Standing, standing
from ncore.predict.variants import told_apart
from ncore.predict.widening import Widened
from ncore.scores.metrics import ACCURACY, get_metric
from ncore.store.limits import Limits

__all__ = [
    "COLUMNS",
    "FORECAST",
    "MEASURED",
    "Past",
    "Ranker",
    "probability_ahead",
]

COLUMNS = (
    "candidate",
    "predicted",
    "lower",
    "upper",
    "rank",
    "p_best",
    "seeds",
    "epochs",
    "observed",
    "warning",
    "kind",
)
MEASURED, FORECAST = "measured", "forecast"
"""What a row of a ranking states: where a candidate ended, or where it will end."""


class Past:
    """What forecasts on a dataset, in a training mode, may learn from: finished runs on other datasets.

    Those of the benchmark that comes with the package calibrate every method. Methods that learn are given a user's
    own, too; these are read when the first of them asks, and each method is taught once.

    Args:
        datasets: Those to be predicted, of which nothing is learned.
        mode: The training mode; empty if unknown.
        own: Reads a user's own tasks.
        metric: By what is ranked. The benchmark teaches of accuracies only; for any other metric a user's own tasks
            say how much wider intervals must be (see ``ncore.predict.widening``).
    """

    def __init__(
        self,
        datasets: Collection[str] = (),
        mode: str = "",
        own: Callable[[], Sequence[Task]] = tuple,
        metric: str = ACCURACY,
    ) -> None:
        self.datasets, self.mode = sorted({name for name in datasets if name}), mode
        self.metric = get_metric(metric).name
        self._own = own
        self._taught: dict[str, Predictor] = {}
        self._without: dict[frozenset[Sketch], Past] = {}

    @classmethod
    def of(cls, stores: StoreLike | Iterable[StoreLike], dataset: str, mode: str, metric: str = ACCURACY) -> Past:
        """The past that stores hold."""
        several = stores if isinstance(stores, Iterable) else [stores]

        def own() -> list[Task]:
            return tasks_of([curve for store in several for curve in finished_curves(store, mode, [dataset], metric)])

        return cls([dataset], mode, own, metric)

    @cached_property
    def own(self) -> tuple[Task, ...]:
        """A user's own tasks."""
        return tuple(self._own())

    def teach(self, method: str) -> Predictor:
        """The method of that name, having learned from this past."""
        if method not in self._taught and self.metric != ACCURACY:
            known = taught(method, self.mode, self.datasets)
            self._taught[method] = Widened(known, self.metric, lambda: self.own)
        elif method not in self._taught:
            own = self.own if get_predictor(method).learns else ()
            self._taught[method] = taught(method, self.mode, self.datasets, own)
        return self._taught[method]

    def without(self, curves: Iterable[Curve]) -> Past:
        """What of this past shares no pictures with what these curves were trained on, as far as runs tell."""
        if not (sketches := _sketches(curves)):
            return self
        if sketches not in self._without:

            def own() -> list[Task]:
                return [task for task in self.own if not _shares(task, sketches)]

            self._without[sketches] = Past([*self.datasets, *recognised(sketches)], self.mode, own, self.metric)
        return self._without[sketches]

    def held_out(self, curves: Iterable[Curve], method: str) -> list[str]:
        """Datasets, by name, of which a method learns nothing as they share pictures with what these were trained on.

        Those of the benchmark come first, then a user's own, if the method learns from them at all.
        """
        sketches = _sketches(curves)
        own = self.own if sketches and get_predictor(method).learns else ()
        names = [task.curves[0].dataset or task.name for task in own if _shares(task, sketches)]
        return list(dict.fromkeys([*recognised(sketches), *names]))


def _sketches(curves: Iterable[Curve]) -> frozenset[Sketch]:
    return frozenset(curve.sketch for curve in curves if curve.sketch)


def _shares(task: Task, sketches: Iterable[Sketch]) -> bool:
    """Whether a task has pictures of one of these sets."""
    return any(alike(*pair) for pair in product({curve.sketch for curve in task.curves}, sketches))


@dataclass(frozen=True, eq=False)
class Ranker:
    """A method with the past that it learns from.

    Attributes:
        method: Name of a predictor (``predictor_names()``), or a predictor, which is used as it is.
        past: Of the dataset and mode to be ranked.

    Example:
        >>> early = np.array([1, 2])
        >>> curves = [Curve(name, 0, early, early / 9, {}, horizon=4) for name in "ab"]
        >>> Ranker("last").rank(curves)["kind"].tolist()
        ['forecast', 'forecast']
    """

    method: str | Predictor = DEFAULT_METHOD
    past: Past = field(default_factory=Past)

    @classmethod
    def of(
        cls,
        stores: StoreLike | Iterable[StoreLike],
        dataset: str,
        mode: str,
        method: str | Predictor = DEFAULT_METHOD,
        metric: str = ACCURACY,
    ) -> Ranker:
        """A ranker of the runs of one dataset, in one mode, that learns from the others of a store, or of several."""
        return cls(method, Past.of(stores, dataset, mode, metric))

    def by(self, method: str | Predictor) -> Ranker:
        """Another method with the same past."""
        return replace(self, method=method)

    @property
    def predictor(self) -> Predictor:
        """The method, having learned.

        Raises:
            InputError: There is none of that name.
        """
        return self._taught(())

    def _taught(self, curves: Iterable[Curve]) -> Predictor:
        """The method, having learned of nothing that has the pictures of these curves."""
        return self.past.without(curves).teach(self.method) if isinstance(self.method, str) else self.method

    def standing(self, curves: Sequence[Curve], seed: int = 0) -> Standing:
        """Who is the best with which probability, as :func:`ncore.predict.stopping.standing` says.

        Test accuracies have no part in it, also where they are known: what chooses by them can't be judged by them.
        """
        return standing(curves, self._taught(curves), seed)

    def rank(
        self,
        curves: Iterable[Curve],
        epochs: int | None = None,
        level: float = LEVEL,
        seed: int = 0,
        under: Limits | None = None,
        all_variants: bool = False,
    ) -> pd.DataFrame:
        """Rank the candidates that these curves belong to; see :func:`ncore.predict.rank_curves`.

        Values are on the scale of the metric (``Metric.on_scale``), from 0 to 1 and higher is better.
        """
        # Sorted, so that the result does not depend on the order in which runs were listed.
        curves = sorted(told_apart(curves), key=in_order)
        self._check_metric(curves)
        curves, over = within(curves, under)
        predictor, k = self._taught(curves), _as_of(curves, epochs)
        used = [curve.until(k) for curve in curves]
        usable = [curve for curve in used if curve.usable]
        _check(predictor, k, level, used, usable)
        said = dict(zip(map(id, usable), forecasts(predictor, usable), strict=True))
        groups: dict[str, list[int]] = {}
        for index, curve in enumerate(curves):
            groups.setdefault(curve.candidate, []).append(index)
        known = measured([[curves[index] for index in members] for members in groups.values()], k)
        longest = max(curve.horizon for curve in usable)
        half_width = NormalDist().inv_cdf(0.5 + level / 2)
        # What forecasts share with each other they don't share with what is measured.
        apart = not known and all(forecast.shared > 0 for forecast in said.values())
        chosen: dict[str, Choice] = {}
        if not all_variants:
            models = {candidate: curves[members[0]].model for candidate, members in groups.items()}
            expected = {
                candidate: combine([said[id(used[index])] for index in members if id(used[index]) in said], apart)
                for candidate, members in groups.items()
            }
            chosen = best_variants(models, expected, known, seed)
        rejected = {name for choice in chosen.values() for name in choice.of if name != choice.variant}
        notes_of = {choice.variant: choice.note for choice in chosen.values()}
        names = {choice.variant: choice.model for choice in chosen.values()}
        rows = []
        for candidate, members in groups.items():
            if candidate in rejected:
                continue
            seen = [used[index] for index in members]
            rated = [(curve, said[id(curve)]) for curve in seen if id(curve) in said]
            observed = [accuracy for index in members if math.isfinite(accuracy := curves[index].observed)]
            if candidate in known:
                mean, sd, note = known[candidate]
                own, notes = (0.0 if math.isnan(sd) else sd), [_warnings(seen, {}, k, 0, epochs is None), note]
            else:
                mean, sd = combine([forecast for _, forecast in rated])
                own = combine([forecast for _, forecast in rated], apart)[1]
                notes = [_warnings(seen, said, k, longest, epochs is None)]
            rows.append(
                {
                    "candidate": names.get(candidate, candidate),
                    "predicted": mean,
                    "lower": float(np.clip(mean - half_width * sd, 0, 1)),
                    "upper": float(np.clip(mean + half_width * sd, 0, 1)),
                    "own": own,
                    "seeds": len(rated),
                    "epochs": min((int(curve.epochs[-1]) for curve, _ in rated), default=0),
                    "observed": math.fsum(observed) / len(observed) if observed else math.nan,
                    "warning": "; ".join(filter(None, [notes_of.get(candidate, ""), *notes])),
                    "kind": MEASURED if candidate in known else FORECAST,
                }
            )
        table = pd.DataFrame(rows)
        table["rank"] = table["predicted"].rank(ascending=False, method="min", na_option="bottom").astype(int)
        rated = table["predicted"].notna()  # the draws of the others are those that they would be without the rest
        shares = probability_of_best(table.loc[rated, "predicted"].to_numpy(), table.loc[rated, "own"].to_numpy(), seed)
        table["p_best"] = 0.0
        table.loc[rated, "p_best"] = shares
        table = table.sort_values(["rank", "p_best", "candidate"], ascending=[True, False, True], ignore_index=True)
        apart_sds = dict(zip(table["candidate"], table["own"], strict=True))
        table = table[list(COLUMNS)]
        table.attrs = {"method": predictor.name, "label": predictor.label, "epochs": k, "level": level}
        table.attrs["metric"] = self.past.metric
        table.attrs["own"] = apart_sds
        table.attrs["baselines"] = {curve.candidate: curve.baseline for curve in curves if curve.baseline}
        table.attrs |= {"variants": chosen} if chosen else {}
        table.attrs |= {"under": str(under), "over": over} if under else {}
        if isinstance(self.method, str) and (held_out := self.past.held_out(curves, self.method)):
            table.attrs["held_out"] = held_out
        return table

    def _check_metric(self, curves: Iterable[Curve]) -> None:
        for curve in curves:
            if curve.metric != self.past.metric:
                raise InputError(
                    f"A curve of {curve.candidate!r} is of {curve.metric}, but the ranking is by {self.past.metric}: "
                    f"give `metric` to both."
                )


def probability_ahead(table: pd.DataFrame, first: str, second: str) -> float:
    """Probability that one candidate of a ranking ends before another one, whatever the rest does.

    Args:
        table: As ``Ranker.rank`` made it.
        first: Its candidate.
        second: Another one.
    """
    means = table.set_index("candidate")["predicted"]
    names = [first, second]
    sds = [table.attrs["own"][name] for name in names]
    return float(probability_of_best(means[names].to_numpy(np.float64), np.array(sds))[0])


def _as_of(curves: Sequence[Curve], epochs: int | None) -> int:
    """The epoch as of which to rank: the last one of all, if none is given."""
    return max((int(curve.epochs[-1]) for curve in curves if curve.usable), default=1) if epochs is None else epochs


def _check(predictor: Predictor, epochs: int, level: float, curves: Sequence[Curve], usable: Sequence[Curve]) -> None:
    """Refuse what cannot be ranked."""
    if not curves:
        raise InputError("A ranking needs one run or more but got 0 curves: give some.")
    if not 0 < level < 1:
        raise InputError(f"The level {level} of the interval must be a probability in (0, 1): give 0.9, say.")
    if epochs < 1:
        raise InputError(f"The value epochs={epochs} must be 1 or more: give the epoch as of which to rank.")
    if epochs < predictor.min_epochs:
        raise InputError(
            f"The method {predictor.name!r} needs {predictor.min_epochs} epochs or more but got epochs={epochs}: "
            f"give more, or use another method ({DEFAULT_METHOD!r} needs one)."
        )
    if not usable and curves[0].metric != ACCURACY:
        first = next((curve for curve in curves if curve.status not in ("failed", "unreadable")), curves[0])
        why = _problem(first, epochs) if first.status in ("failed", "unreadable") else first.warnings
        raise InputError(
            f"The metric {curves[0].metric!r} is not known of any of the {len(curves)} runs in epochs 1 to {epochs} "
            f"({first.candidate!r}: {why or _problem(first, epochs)}): record them anew, with what it follows from, "
            f"or rank by another metric ({ACCURACY!r} is always recorded)."
        )
    if not usable:
        problem = _problem(curves[0], epochs)
        raise InputError(
            f"None of the {len(curves)} runs has a validation accuracy in epochs 1 to {epochs} that can be used "
            f"({curves[0].candidate!r}: {problem}): wait for one to finish an epoch, or record others."
        )
    recorded = sorted({strength for curve in usable for strength in curve.beta})
    if predictor.strength is not None and predictor.strength not in recorded:
        raise InputError(
            f"The method {predictor.name!r} needs the {predictor.strength} beta_eff, but the runs recorded "
            f"{', '.join(recorded) or 'none'}: record it, or use another method."
        )


def _problem(curve: Curve, epochs: int, now: bool = False) -> str:
    """What is wrong with a run by itself, empty if nothing; ``now`` if no epoch was asked for."""
    if curve.status in ("failed", "unreadable"):
        return f"{curve.status}: {curve.reason or 'no reason was recorded'}"
    if curve.epochs.size == 0:
        why = f" ({curve.reason})" if curve.status == "interrupted" and curve.reason else ""
        return f"{curve.status}{why}, with no validation {get_metric(curve.metric).label} in epochs 1 to {epochs}"
    if curve.epochs[-1] < epochs:
        if now:
            return f"{curve.status}, with {curve.epochs[-1]} epochs where others have {epochs}"
        return f"{curve.status}, with {curve.epochs[-1]} of the {epochs} epochs asked for"
    return ""


def _warnings(curves: Sequence[Curve], said: dict[int, Forecast], epochs: int, longest: int, now: bool) -> str:
    """All that is to be said of one candidate's runs, each warning once, with the seeds that it is about."""
    seeds: dict[str, list[int]] = {}
    for curve in curves:
        if curve.baseline and curve.status == "finished":
            texts = [f"a baseline: {curve.baseline}", curve.warnings.rstrip(".")]
        else:
            texts = [_problem(curve, epochs, now), curve.warnings.rstrip(".")]
        if id(curve) in said:
            texts.append(said[id(curve)].warning)
            if curve.horizon < longest:
                texts.append(f"planned for {curve.horizon} epochs where others have {longest}")
        for text in filter(None, texts):
            seeds.setdefault(text, []).append(curve.seed)
    notes = []
    for text, about in seeds.items():
        prefix = "" if len(about) == len(curves) else f"seed {', '.join(map(str, about))}: "
        notes.append(prefix + text)
    all_seeds = [curve.seed for curve in curves]
    if len(set(all_seeds)) < len(all_seeds):
        notes.append(f"{len(all_seeds)} runs share {len(set(all_seeds))} seeds, all are combined")
    return "; ".join(notes)
