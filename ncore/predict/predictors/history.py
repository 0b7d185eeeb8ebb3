"""Where candidates will stand among the others, from their first epochs and from where they stood on other tasks.

How the model was chosen is on the benchmark's page.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ncore.predict.curves import PROBE_LOGME, Curve, FloatArray
from ncore.predict.experience import Task
from ncore.predict.forecast import Family, Forecast, Predictor, Reads
from ncore.predict.predictors._features import FEATURES, logit, rise, standardised, table
from ncore.predict.predictors.naive import MIN_SD, read_last

__all__ = [
    "ENOUGH",
    "FURTHEST",
    "LIFT_RIDGE",
    "MIN_RUNS",
    "MIN_TASKS",
    "RIDGE",
    "RISE",
    "TRUST",
    "History",
    "Moments",
    "as_of",
    "candidates",
    "find_moments",
    "means",
    "standing",
]

#: Added to the variance of each standing, which is 1: what keeps nearly equal features from being played off.
RIDGE = 0.05
#: Share of what candidates kept between past groups of tasks that they are trusted to keep on a new one. Two or three
#: datasets are few to tell it from, and a new one may be less like them than they are like each other.
TRUST = 0.75
#: Standings further out than this are brought back to it: one that diverged must not squeeze all others together.
FURTHEST = 3.0
#: What curves still gain is uncertain between tasks, and the more so while they rise: by this many times what they
#: rose, in the mean over candidates and in logits, in the second half of the epochs seen.
RISE = 1.0
#: How far curves will go on is expected from how steeply they rose, if so many tasks can tell. The slope is shrunk by
#: this share of the rises' variance.
MIN_TASKS, LIFT_RIDGE = 4, 0.5
#: Candidates that a task needs for the error that they share to be told apart from their own: two are two standard
#: deviations from each other however close they are, and would be in order for sure.
ENOUGH = 8
#: Finished candidates, task by task, that a model needs at least.
MIN_RUNS = 10


@dataclass(frozen=True)
class Moments:
    """How standings vary, of p features after k epochs and, last, of the final accuracy.

    Attributes:
        past: By group of tasks and candidate, its mean standings there, shape (p + 1,).
        candidate: Covariance of what a candidate keeps from task to task, shape (p + 1, p + 1).
        group: Covariance of what is added in the mean over a group, shape (p + 1, p + 1).
        task: Covariance of the standings on a single task, all in all, shape (p + 1, p + 1).
        lift: Mean final logit of a task's candidates less their mean last logit, in the mean over tasks.
        lift_sd: Its standard deviation between tasks, about what their rise makes expect.
        rise: Mean rise (``ncore.predict.predictors._features.rise``) of a task's candidates, in the mean over tasks.
        steepness: By how much the lift of a task is larger for a rise that is larger by one.
        stretch: Ratio of the standard deviations of final and last logits of a task.
        spread: Standard deviation of the final logits of a task.
    """

    past: Mapping[str, Mapping[str, FloatArray]]
    candidate: FloatArray
    group: FloatArray
    task: FloatArray
    lift: float
    lift_sd: float
    stretch: float
    spread: float
    rise: float = 0.0
    steepness: float = 0.0

    def scale(self, levels: FloatArray, rising: float) -> tuple[float, float]:
        """Mean and standard deviation of the final logits of a task, from its last ones and its mean rise.

        Candidates that are all at the same level, at chance level say, will end as far apart as is usual.
        """
        seen = float(levels.std())
        centre = float(levels.mean()) + self.lift + self.steepness * (rising - self.rise)
        return centre, seen * self.stretch if seen > 1e-6 else self.spread

    def final(self, standings: FloatArray, past: Sequence[FloatArray]) -> tuple[float, float]:
        """Mean and variance of a candidate's final standing.

        Args:
            standings: Its features on the task, shape (p,); what is NaN is not known, and not conditioned on.
            past: Its standings on other groups, each of shape (p + 1,).
        """
        p, q, n = standings.size, standings.size + 1, len(past)
        size = n * q + p
        covariance = np.zeros((size, size))
        covariance[: n * q, : n * q] = np.kron(np.ones((n, n)), self.candidate) + np.kron(np.eye(n), self.group)
        covariance[: n * q, n * q :] = np.tile(self.candidate[:, :p], (n, 1))
        covariance[n * q :, : n * q] = covariance[: n * q, n * q :].T
        covariance[n * q :, n * q :] = self.task[:p, :p]
        with_final = np.concatenate([*([self.candidate[:, p]] * n), self.task[:p, p]])
        given = np.concatenate([*past, standings])
        known = np.isfinite(given)
        with_final = with_final[known]
        gain = np.linalg.solve((covariance + RIDGE * np.eye(size))[np.ix_(known, known)], with_final)
        mean = float(gain @ given[known])
        return mean, max(float(self.task[p, p] - gain @ with_final), RIDGE)


class History(Predictor):
    """Normal model of standings: what a candidate keeps from task to task, and what its first epochs add.

    The standing of a candidate is its logit, less the mean of the task's candidates and in their standard deviations:
    that of the last validation accuracy, of other features, and of the final accuracy. Standings are the sum of a part
    that belongs to the candidate, one of the group of tasks, and one of the task (a multivariate model with crossed
    random effects). Their covariances are estimated by moments from finished runs, and the final standing is the best
    linear prediction from the standings after k epochs and all past ones (Henderson's BLUP: Robinson, Statistical
    Science 6, 1991). So a candidate that is known to start slowly is not given up for it, the more surely the more
    tasks it was seen on, and one that was never seen before is judged by its first epochs only.

    The final standing becomes an accuracy by the mean and the spread of the last logits, corrected by what other tasks
    added to them, the more the more steeply they rose; its interval is wider where tasks differed in that, and while
    curves still rise (``RISE``). A run that was seen for fewer epochs, as it was stopped, has the standing that it had
    among all when it was; where they all end is read from those that were seen the longest. Unfitted, it reads the last
    accuracy.

    Args:
        name: Name in the registry.
        label: Name in tables.
        description: In a sentence.
        features: Names of ``ncore.predict.predictors._features.FEATURES``, "level" first.
        strength: The strength of beta_eff that one of them needs, None if none does.
        past: Whether standings on other tasks are used for the candidate itself, not only for the covariances.
    """

    family = Family.LEARNED
    ours = True
    joint = True
    learns = True

    def __init__(
        self,
        name: str,
        label: str,
        description: str,
        features: Sequence[str] = ("level",),
        strength: str | None = None,
        past: bool = True,
    ) -> None:
        self.name, self.label, self.description = name, label, description
        self.features, self.strength, self.past = tuple(features), strength, past
        self.score = PROBE_LOGME if "logme" in self.features else ""
        self.reads = tuple(dict.fromkeys(FEATURES[name].reads for name in self.features)) + ((Reads.PAST,) * past)
        self._experience: tuple[Task, ...] = ()
        self._moments: dict[int, Moments | None] = {}

    def fit(self, experience: Sequence[Task]) -> "History":
        """Keep the experience; the moments of an epoch are found when it is first asked for. See ``Predictor.fit``."""
        fitted = History(self.name, self.label, self.description, self.features, self.strength, self.past)
        fitted._experience = tuple(experience)
        return fitted

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast all runs together; see ``Predictor.predict``."""
        from scipy.special import expit

        forecasts: dict[int, Forecast] = {}
        scale: tuple[float, float, float] | None = None  # of the task, from those that were seen the longest
        for epoch in sorted({int(curve.epochs[-1]) for curve in curves}, reverse=True):
            last = [curve for curve in curves if curve.epochs[-1] == epoch]
            moments = self.moments(epoch)
            if moments is None:
                why = "there are too few finished runs of other tasks to learn from"
                forecasts |= {id(curve): read_last(curve, why) for curve in last}
                continue
            known = [seen for curve in curves if (seen := curve.until(epoch)).usable]
            names, values = means(known, as_of(known, epoch, self.features))
            standings = np.stack([standing(column) for column in values.T], axis=1)
            enough = len(names) >= ENOUGH
            if scale is None:
                rising = _mean_rise([curve for curve in known if curve.epochs[-1] == epoch])
                scale = *moments.scale(values[:, 0], rising), math.hypot(moments.lift_sd, RISE * max(0.0, rising))
            centre, spread, shared = scale
            for curve in last:
                model = curve.model or curve.candidate
                past = [found for group in moments.past.values() if (found := group.get(model)) is not None]
                mean, variance = moments.final(standings[names.index(curve.candidate)], past if self.past else [])
                accuracy = float(expit(centre + spread * mean))
                slope = accuracy * (1 - accuracy)  # of the accuracy in its logit: the delta method
                sd = slope * math.hypot(spread * math.sqrt(variance), shared)
                forecasts[id(curve)] = Forecast(accuracy, max(MIN_SD, sd), shared=slope * shared if enough else 0.0)
        return [forecasts[id(curve)] for curve in curves]

    def moments(self, epoch: int) -> Moments | None:
        """The model as of an epoch, or of the last one that finished runs show; None if there are too few of them."""
        if epoch not in self._moments:
            found = find_moments(self._experience, epoch, self.features)
            self._moments[epoch] = self.moments(epoch - 1) if found is None and epoch > 1 else found
        return self._moments[epoch]


def candidates(curves: Sequence[Curve], features: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Names, sorted, and features of the candidates of a task, shape (n, p): means over their runs, NaN if unknown."""
    return means(curves, table(curves, features))


def as_of(curves: Sequence[Curve], epoch: int, features: Sequence[str]) -> FloatArray:
    """Features of runs after an epoch, shape (n, p), NaN if unknown.

    What was stopped before is given what the others gained since, in their mean: their gain says nothing about where it
    stands among them.
    """
    values = table(curves, features)
    ends = np.array([curve.epochs[-1] for curve in curves])
    going = [curve for curve in curves if curve.epochs[-1] == epoch]
    for end in set(ends[ends < epoch].tolist()):
        before = [curve.until(end) for curve in going]
        both = [index for index, curve in enumerate(before) if curve.usable]
        if both:
            gains = values[ends == epoch][both] - table([before[index] for index in both], features)
            known = np.isfinite(gains)
            values[ends == end] += np.where(known, gains, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return values


def means(curves: Sequence[Curve], values: FloatArray) -> tuple[list[str], FloatArray]:
    """Names, sorted, and means over runs of what was found for each, shape (n, p); unknown values don't count."""
    rows: dict[str, list[FloatArray]] = {}
    for curve, row in sorted(zip(curves, values, strict=True), key=lambda pair: pair[1].tolist()):
        rows.setdefault(curve.candidate, []).append(row)
    names = sorted(rows)
    stacked = [np.array(rows[name]) for name in names]
    known = [np.isfinite(part) for part in stacked]
    sums = [np.where(mask, part, 0.0).sum(axis=0) for part, mask in zip(stacked, known, strict=True)]
    with np.errstate(invalid="ignore"):
        return names, np.array([total / mask.sum(axis=0) for total, mask in zip(sums, known, strict=True)])


def standing(values: FloatArray) -> FloatArray:
    """Values of the candidates in standard deviations from their mean, at most ``FURTHEST``; NaN where unknown."""
    return np.clip(standardised(values.tolist()), -FURTHEST, FURTHEST)


def find_moments(experience: Sequence[Task], epoch: int, features: Sequence[str]) -> Moments | None:
    """Estimate the moments as of an epoch; None if fewer than ``MIN_RUNS`` candidates, task by task, are known."""
    single: list[FloatArray] = []
    groups: dict[str, dict[str, list[FloatArray]]] = {}
    lifts: list[float] = []
    rises: list[float] = []
    ends: list[tuple[float, float]] = []
    for task in experience:
        curves, truth = task.as_of(epoch)
        if len({curve.candidate for curve in curves}) < 2:
            continue
        names, values = candidates(curves, features)
        final = means(curves, logit(np.array(truth))[:, None])[1][:, 0]
        rows = np.nan_to_num(np.stack([*(standing(column) for column in values.T), standing(final)], axis=1))
        single.append(rows)
        for name, row in zip(names, rows, strict=True):
            groups.setdefault(task.group, {}).setdefault(name, []).append(row)
        lifts.append(float(final.mean() - values[:, 0].mean()))
        rises.append(_mean_rise(curves))
        ends.append((float(values[:, 0].std()), float(final.std())))
    if sum(map(len, single)) < MIN_RUNS:
        return None
    past = {group: {name: np.mean(rows, axis=0) for name, rows in found.items()} for group, found in groups.items()}
    size = len(features) + 1
    pairs = [
        np.outer(one[name], other[name])
        for group, one in past.items()
        for another, other in past.items()
        if group != another
        for name in one.keys() & other.keys()
    ]
    kept = TRUST * _positive(np.mean(pairs, axis=0)) if pairs else np.zeros((size, size))
    within = np.mean(
        [np.mean([np.outer(row, row) for row in found.values()], axis=0) for found in past.values()], axis=0
    )
    ratios = [np.log(last / first) for first, last in ends if min(first, last) > 1e-6]
    rising, steepness = float(np.mean(rises)), _steepness(rises, lifts)
    unexplained = np.array(lifts) - steepness * (np.array(rises) - rising)
    return Moments(
        past=past,
        candidate=kept,
        group=_positive(within - kept),
        task=_positive(np.mean([rows.T @ rows / len(rows) for rows in single], axis=0)),
        lift=float(np.mean(lifts)),
        lift_sd=float(np.std(unexplained, ddof=1)) if len(lifts) > 1 else abs(lifts[0]),
        stretch=float(np.exp(np.mean(ratios))) if ratios else 1.0,
        spread=float(np.mean([last for _, last in ends])),
        rise=rising,
        steepness=steepness,
    )


def _mean_rise(curves: Sequence[Curve]) -> float:
    """The mean rise of runs, the same in any order of them."""
    return math.fsum(rise(curve) for curve in curves) / len(curves)


def _steepness(rises: Sequence[float], lifts: Sequence[float]) -> float:
    """Slope of the regression of lifts on rises over tasks, shrunk as by a ridge; 0 if there are too few tasks."""
    if len(rises) < MIN_TASKS:
        return 0.0
    across, up = np.array(rises) - np.mean(rises), np.array(lifts) - np.mean(lifts)
    variance = float(across @ across)
    return float(across @ up) / (variance * (1 + LIFT_RIDGE)) if variance > 1e-12 else 0.0


def _positive(matrix: FloatArray) -> FloatArray:
    """The nearest symmetric matrix without negative eigenvalues (Higham, Linear Algebra Appl. 103, 1988)."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    nearest: FloatArray = (vectors * np.clip(values, 0, None)) @ vectors.T
    return nearest
