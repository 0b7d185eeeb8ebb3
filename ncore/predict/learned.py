"""Learning from finished runs of other tasks where a run of this one will end."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncore.predict.curves import Curve, FloatArray
from ncore.predict.experience import Task
from ncore.predict.features import expit, logit, standardised, table
from ncore.predict.forecast import Forecast, Predictor
from ncore.predict.naive import MIN_SD, read_last
from ncore.predict.record import track_record

#: Penalties that are tried: what a coefficient is held back by, in runs of evidence for a feature of unit variance.
PENALTIES = tuple(np.geomspace(0.1, 10_000.0, 16).tolist())
#: Finished runs that a model needs at least.
MIN_RUNS = 10


@dataclass(frozen=True)
class Gain:
    """A linear model of the gain to come, logit(final accuracy) - logit(last accuracy).

    Attributes:
        offset: Mean gain.
        centre: Means of the features, shape (p,).
        slopes: Gain per unit of each, shape (p,).
        sd: Standard deviation of what it missed on tasks that it was not fitted on, in logits.
        penalty: The one chosen.
    """

    offset: float
    centre: FloatArray
    slopes: FloatArray
    sd: float
    penalty: float

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predicted gains, shape (n,), for features of shape (n, p); an unknown feature counts as an average one."""
        known = np.where(np.isfinite(features), features - self.centre, 0.0)
        gains: FloatArray = self.offset + known @ self.slopes
        return gains


class LearnedGain(Predictor):
    """Ridge regression of the gain to come on features of the curve, learned from finished runs of other tasks.

    The slopes are those *within* tasks: features and gains are centred task by task, because what tells candidates of
    a task apart is what a ranking needs, and how tasks differ from each other, which few tasks can't teach, is left to
    the offset. The ridge pulls the slopes to 0, where the ranking is that by last accuracy: evidence from finished runs
    has to move it away. The penalty is the one of `PENALTIES` that misses least, within tasks, on each group of tasks
    left out in turn. There is one model for each number of epochs seen; beyond those that the experience has, that of
    its longest. Unfitted, it reads the last accuracy.

    Args:
        name: Name in the registry.
        label: Name in tables.
        description: In a sentence.
        features: Names of `ncore.predict.features.FEATURES`; "score NAME" for a transferability score, which is
            standardised over the task's runs; or "record" for how the candidate ended on the other tasks.
        strength: The strength of beta_eff that one of them needs, None if none does.
    """

    learns = True

    def __init__(
        self, name: str, label: str, description: str, features: Sequence[str], strength: str | None = None
    ) -> None:
        self.name, self.label, self.description = name, label, description
        self.features, self.strength = tuple(features), strength
        self._experience: tuple[Task, ...] = ()
        self._gains: dict[int, Gain | None] = {}

    def fit(self, experience: Sequence[Task]) -> "LearnedGain":
        """Keep the experience; the model of an epoch is fitted when it is first asked for. See `Predictor.fit`."""
        fitted = LearnedGain(self.name, self.label, self.description, self.features, self.strength)
        fitted._experience = tuple(experience)
        return fitted

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself; see `Predictor.predict`."""
        features = self._table(curves, self._experience)
        return [self._forecast(curve, row) for curve, row in zip(curves, features, strict=True)]

    def gain(self, epoch: int) -> Gain | None:
        """The model as of an epoch, None if no finished run has so much as one epoch to learn from."""
        if epoch not in self._gains:
            groups = [group for task in self._experience if (group := self._rows(task, epoch)) is not None]
            enough = sum(len(target) for _, _, target in groups) >= MIN_RUNS
            self._gains[epoch] = fit_gain(groups) if enough else (self.gain(epoch - 1) if epoch > 1 else None)
        return self._gains[epoch]

    def _rows(self, task: Task, epoch: int) -> "tuple[str, FloatArray, FloatArray] | None":
        """Group, features and gains of the finished runs of a task; None if it has fewer than two."""
        curves, truth = task.as_of(epoch)
        if len(curves) < 2:
            return None
        last = np.array([curve.accuracy[-1] for curve in curves])
        others = [other for other in self._experience if other.group != task.group]
        return task.group, self._table(curves, others), logit(np.array(truth)) - logit(last)

    def _table(self, curves: Sequence[Curve], others: Sequence[Task]) -> FloatArray:
        """Features of the runs of one task, shape (n, p), others being what is known of other tasks."""
        columns = []
        for name in self.features:
            if name == "record":
                columns.append(track_record([curve.candidate for curve in curves], others))
            elif name.startswith("score "):
                columns.append(standardised([curve.scores.get(name[6:], np.nan) for curve in curves]))
            else:
                columns.append(table(curves, [name])[:, 0])
        return np.array(columns).T.reshape(len(curves), len(columns))

    def _forecast(self, curve: Curve, features: FloatArray) -> Forecast:
        model = self.gain(int(curve.epochs[-1]))
        if model is None:
            return read_last(curve, "there are no finished runs of other tasks to learn from")
        value = logit(curve.accuracy[-1]) + model(features[None])[0]
        mean = float(expit(value))
        sd = max(MIN_SD, model.sd * mean * (1 - mean))  # the delta method
        missing = [name for name, known in zip(self.features, np.isfinite(features), strict=True) if not known]
        return Forecast(mean, sd, f"taken as average, not being known: {', '.join(missing)}" if missing else "")


Rows = tuple[str, FloatArray, FloatArray]


def fit_gain(tasks: Sequence[Rows], penalties: Sequence[float] = PENALTIES) -> Gain:
    """Fit the linear model.

    Args:
        tasks: Of each its group, features (n, p), NaN where unknown, and gains (n,).
        penalties: To choose from.
    """
    stacked = np.concatenate([features for _, features, _ in tasks])
    with np.errstate(all="ignore"):
        centre = np.nan_to_num(np.nanmean(np.where(np.isfinite(stacked), stacked, np.nan), axis=0))
    within = [_centred(features, gains) for _, features, gains in tasks]
    scale = np.sqrt(np.concatenate([X for X, _ in within]).var(axis=0))
    scale[scale < 1e-9] = 1.0
    names = sorted({group for group, _, _ in tasks})
    best, missed = max(penalties), np.inf
    if len(names) > 1:
        for penalty in penalties:
            total = 0.0
            for name in names:
                inside = [pair for pair, (group, _, _) in zip(within, tasks, strict=True) if group != name]
                slopes = _ridge(inside, scale, penalty)
                for (X, y), (group, _, _) in zip(within, tasks, strict=True):
                    if group == name:
                        total += float(np.mean((y - X @ slopes) ** 2))
            if total < missed:
                best, missed = penalty, total
    slopes = _ridge(within, scale, best)
    offsets = [float(np.mean(gains - _filled(features, centre) @ slopes)) for _, features, gains in tasks]
    spread = float(np.var(offsets, ddof=1)) if len(offsets) > 1 else 0.25
    residual = float(np.mean([np.mean((y - X @ slopes) ** 2) for X, y in within]))
    return Gain(float(np.mean(offsets)), centre, slopes, float(np.sqrt(spread + residual)), best)


def _filled(features: FloatArray, centre: FloatArray) -> FloatArray:
    """Distances from the centre, 0 where unknown."""
    return np.where(np.isfinite(features), features - centre, 0.0)


def _centred(features: FloatArray, gains: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both less their mean over the task, unknown features being 0."""
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, features, 0.0).sum(axis=0) / count
    return _filled(features, means), gains - gains.mean()


def _ridge(tasks: Sequence[tuple[FloatArray, FloatArray]], scale: FloatArray, penalty: float) -> FloatArray:
    """Slopes of least squares plus penalty, each task having the weight of an average one."""
    p = scale.size
    left, right = np.zeros((p, p)), np.zeros(p)
    average = np.mean([len(y) for _, y in tasks])
    for X, y in tasks:
        Z = X / scale
        left += Z.T @ Z * average / len(y)
        right += Z.T @ y * average / len(y)
    slopes: FloatArray = np.linalg.solve(left + penalty * np.eye(p), right) / scale
    return slopes
