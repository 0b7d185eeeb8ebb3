"""Learning curves as predictors see them: what the first epochs of each run showed, and nothing later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ncore.errors import InputError, NcoreError
from ncore.predict._manifest_facts import WEIGHTS, made_with, test_images
from ncore.predict.metric_series import metric_series
from ncore.predict.sketches import Sketch, sketch_of
from ncore.scores.metrics import ACCURACY, get_metric

__all__ = [
    "PROBE_LOGME",
    "WEIGHTS",
    "Curve",
    "FloatArray",
    "Group",
    "IntArray",
    "RunLike",
    "StoreLike",
    "curves_from_store",
    "grouped",
    "read_curve",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


#: LogME of the features of the probe before training, among the `scores` of a `Curve`.
PROBE_LOGME = "probe_logme"
#: Series of a `Curve` that a run may lack.
_OPTIONAL = ("loss", "train_accuracy", "train_loss")
#: Their split and name among the metrics of a run.
_KEYS = (("validation", "loss"), ("train", "accuracy"), ("train", "loss"))


class RunLike(Protocol):
    """The tables of a run that a curve is made of; ``ncore.store.Run`` has them."""

    def metrics(self) -> pd.DataFrame:
        """Table with the columns epoch, step, split, name and value."""

    def capacitance(self) -> pd.DataFrame:
        """Table with the columns epoch, strength, layer and beta_eff."""


class StoreLike(Protocol):
    """What curves need of a store; ``ncore.store.Store`` has it."""

    def runs(self) -> pd.DataFrame:
        """One row a run: run, candidate, dataset, seed, mode, status, planned_epochs, test_accuracy, reason."""

    def run(self, run_id: str, /) -> RunLike:
        """The run of that name."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One run as known after some epochs of training.

    Epoch 0, the state before training, is left out: a pretrained backbone under an untrained head is at chance
    level there whatever it is worth, so the point lies on no learning curve and would bend every regression.

    Attributes:
        candidate: Name of the model.
        seed: Seed of the run.
        epochs: Finished epochs with a validation accuracy, shape (k,), increasing, all >= 1; may be empty.
        accuracy: Validation accuracy after each of them, shape (k,), fractions in [0, 1].
        beta: beta_eff of the whole line graph by strength, each of shape (k,), NaN where it is undefined.
        horizon: Epoch at which the run is planned to end: a forecast is for that epoch.
        loss: Validation loss, shape (k,), NaN where it is missing, or None.
        status: "running", "finished", "interrupted", "failed", or "unreadable" for a damaged run.
        reason: Why it failed, was interrupted or cannot be read.
        observed: Final test accuracy, NaN where unknown: the truth to compare with, never an input.
        dataset: What it is trained on, empty if unknown.
        mode: The training mode, empty if unknown.
        train_accuracy: Training accuracy, as ``loss``.
        train_loss: Training loss, as ``loss``.
        scores: Transferability scores by name, known before training; "probe_logme" is what runs record at epoch 0.
        warnings: What to know before trusting the run, empty if nothing.
        settings: All that the run was made with but the seed and what was recorded, by dotted names; empty if unknown.
        data: A digest of the data and of their cut as they were described, empty if unknown.
        content: A digest of what the data hold, empty if unknown.
        cut: A digest of who is in which set, empty if unknown.
        sketch: The smallest digests of the pictures, ascending (see ``ncore.predict.sketches``); empty if unknown.
        test_images: How many images the final test accuracy was measured on, None where unknown.
        metric: Of what ``accuracy`` and ``observed`` are, on its scale (``ncore.scores.metrics.Metric.on_scale``); the
            name of a metric. Those of any other than accuracy take its place.
        test_variance: That of ``observed`` by the finite test set, of a metric that is no share of images; None where
            unknown.
        ended: The epoch at which it ended, finished, where that was before the planned one; None otherwise.
        model: Of a variant, what is also trained in other ways: the candidate's name without that; empty otherwise.
        costs: What using the candidate costs, as its run has measured; empty if unknown.
        baseline: What it is, if it is a boring baseline and no network; empty otherwise.

    Raises:
        InputError: The arrays differ in shape, the epochs do not increase from 1, an accuracy is not in [0, 1],
            or the horizon is before the last epoch.

    Example:
        >>> curve = Curve("lenet", 0, np.array([1, 2, 3]), np.array([0.5, 0.7, 0.8]), {}, horizon=30)
        >>> curve.until(2).accuracy.tolist()
        [0.5, 0.7]
    """

    candidate: str
    seed: int
    epochs: IntArray
    accuracy: FloatArray
    beta: Mapping[str, FloatArray]
    horizon: int
    loss: FloatArray | None = None
    status: str = "finished"
    reason: str = ""
    observed: float = float("nan")
    dataset: str = ""
    mode: str = ""
    train_accuracy: FloatArray | None = None
    train_loss: FloatArray | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    warnings: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: str = ""
    content: str = ""
    cut: str = ""
    sketch: Sketch = ()
    test_images: int | None = None
    metric: str = ACCURACY
    test_variance: float | None = None
    ended: int | None = None
    model: str = ""
    costs: Mapping[str, Any] = field(default_factory=dict)
    baseline: str = ""

    def __post_init__(self) -> None:
        epochs = np.asarray(self.epochs, dtype=np.int64)
        columns = {"accuracy": np.asarray(self.accuracy, dtype=np.float64)}
        columns |= {f"beta_eff ({name})": np.asarray(beta, np.float64) for name, beta in self.beta.items()}
        for name in _OPTIONAL:
            if getattr(self, name) is not None:
                columns[name] = np.asarray(getattr(self, name), dtype=np.float64)
        where = f"the curve of {self.candidate!r}, seed {self.seed}"
        for name, values in columns.items():
            if epochs.ndim != 1 or values.shape != epochs.shape:
                raise InputError(
                    f"The shape {values.shape} of {name} in {where} differs from that of its epochs, "
                    f"{epochs.shape}: give one value an epoch."
                )
        if np.any(np.diff(epochs, prepend=0) < 1):
            raise InputError(
                f"The epochs {epochs.tolist()} in {where} must increase from 1 or more: sort them and leave out "
                "epoch 0, which is before training."
            )
        if not np.all((columns["accuracy"] >= 0) & (columns["accuracy"] <= 1)):
            raise InputError(
                f"The accuracies {columns['accuracy'].tolist()} in {where} must be fractions in [0, 1]: divide "
                "percentages by 100 and leave out epochs without one."
            )
        if self.horizon < epochs.max(initial=1):
            raise InputError(
                f"The horizon {self.horizon} of {where} is before its last epoch {epochs.max(initial=1)}: give "
                "the epoch at which training ends."
            )
        object.__setattr__(self, "epochs", epochs)
        object.__setattr__(self, "accuracy", columns["accuracy"])
        object.__setattr__(self, "beta", {name: columns[f"beta_eff ({name})"] for name in self.beta})
        for name in _OPTIONAL:
            object.__setattr__(self, name, columns.get(name))

    @property
    def usable(self) -> bool:
        """Whether a prediction may rest on this run."""
        return self.status not in ("failed", "unreadable") and self.epochs.size > 0

    @property
    def complete(self) -> bool:
        """Whether nothing of its training is left: its last epoch is here."""
        return self.epochs.size > 0 and bool(self.epochs[-1] >= (self.ended or self.horizon))

    def until(self, epoch: int) -> "Curve":
        """The same run as it was known after ``epoch``: nothing later, and no final accuracy."""
        keep = self.epochs <= epoch
        return replace(
            self,
            epochs=self.epochs[keep],
            accuracy=self.accuracy[keep],
            beta={name: values[keep] for name, values in self.beta.items()},
            observed=float("nan"),
            **{name: values[keep] for name in _OPTIONAL if (values := getattr(self, name)) is not None},
        )

    def in_epochs(self, count: int) -> "Curve":
        """The same training told in ``count`` epochs: read at the shares 1/count, 2/count, ... of its planned length.

        Between two epochs it is interpolated. Shares after the last epoch are left out, and those before the first one
        that are not nearer to it than to the start.

        Example:
            >>> curve = Curve("lenet", 0, np.array([1, 2, 3, 4]), np.array([0.5, 0.6, 0.7, 0.8]), {}, horizon=4)
            >>> curve.in_epochs(2).accuracy.tolist(), curve.in_epochs(8).epochs.tolist()
            ([0.6, 0.8], [1, 2, 3, 4, 5, 6, 7, 8])
        """
        if count == self.horizon:
            return self
        if self.epochs.size == 0:
            return replace(self, horizon=count)
        epochs = np.arange(1, count + 1)
        at = epochs * self.horizon / count
        kept = (at >= self.epochs[0] - 0.5) & (at <= self.epochs[-1])

        def read(values: FloatArray) -> FloatArray:
            found: FloatArray = np.interp(at[kept], self.epochs, values)
            return found

        optional: dict[str, Any] = {
            name: read(values) for name in _OPTIONAL if (values := getattr(self, name)) is not None
        }
        return replace(
            self,
            epochs=epochs[kept],
            accuracy=np.clip(read(self.accuracy), 0, 1),
            beta={name: read(values) for name, values in self.beta.items()},
            horizon=count,
            **optional,
        )


def curves_from_store(
    store: StoreLike,
    dataset: str | None = None,
    mode: str | None = None,
    epochs: int | None = None,
    metric: str = ACCURACY,
) -> list[Curve]:
    """Read the learning curves of all runs on one dataset, in one training mode.

    No run is left out: one that failed, or that cannot be read, becomes a curve with that status and its reason, and
    with the epochs that it has. One of which not even the manifest can be read, so that its candidate and dataset are
    unknown, has the run's id as its candidate and stands with any dataset.

    Args:
        store: The store, or anything with its ``runs()`` and ``run(id)``.
        dataset: The dataset; None if the store holds only one.
        mode: The training mode; None if those runs share one.
        epochs: Keep epochs 1 to this one; None keeps all.
        metric: What to read in place of the accuracy, a name of ``ncore.scores.metrics.metric_names()``: from
            predictions of single examples, or as recorded by that name.

    Returns:
        One curve a run, in the order of ``store.runs()``.

    Raises:
        InputError: The store is empty, the dataset or mode is not in it, or it must be named because there are
            several; or there is no such metric.
    """
    metric = get_metric(metric).name
    runs = store.runs()
    if runs.empty:
        raise InputError("The store holds 0 runs, but a ranking needs one or more: record some with `ncore sweep`.")
    for column, wanted in (("dataset", dataset), ("mode", mode)):
        runs = _only(runs, column, wanted)
    return [read_curve(row, partial(store.run, row["run"]), epochs, metric) for row in runs.to_dict("records")]


def _only(runs: pd.DataFrame, column: str, wanted: str | None) -> pd.DataFrame:
    """The runs whose ``column`` is ``wanted``, or all of them if none is wanted and they agree.

    A run whose manifest is damaged has no value there; it could be any, so it stays.
    """
    known = runs[column].notna()
    present = sorted(set(runs.loc[known, column]))
    listed = ", ".join(map(repr, present))
    if wanted is None:
        if len(present) > 1:
            raise InputError(
                f"The runs are of {len(present)} {column}s ({listed}), but only those of one can be ranked together: "
                f"name it as `{column}`."
            )
        return runs
    if wanted not in present:
        raise InputError(f"The {column} {wanted!r} is not in the store, which has {listed}: name one of these.")
    return runs[~known | (runs[column] == wanted)]


def read_curve(
    row: Mapping[Any, Any], run: Callable[[], RunLike], epochs: int | None = None, metric: str = ACCURACY
) -> Curve:
    """The curve of one row of ``store.runs()``, whose run is opened by ``run()``; see :func:`curves_from_store`."""
    status, reason = str(row["status"]), "" if pd.isna(row["reason"]) else str(row["reason"])
    series: dict[tuple[str, str], dict[int, float]] = {}
    beta: dict[str, dict[int, float]] = {}
    before: dict[tuple[str, str], float] = {}
    tables: RunLike | None = None
    try:
        tables = run()
        metrics, capacitance = tables.metrics(), tables.capacitance()
    except NcoreError as error:  # one damaged run must not hide the others
        status, reason = "unreadable", str(error)
    else:
        series = _by_epoch(metrics)
        beta = _whole_graph(capacitance)
        before = _before_training(metrics)
    accuracy, observed = dict(series.get(("validation", "accuracy"), {})), float(row["test_accuracy"])
    said = "" if pd.isna(row.get("warnings")) else str(row.get("warnings"))
    others: dict[str, Any] = {"metric": metric}
    if metric != ACCURACY and status != "unreadable":
        accuracy, observed, others["test_variance"] = {}, np.nan, None
        try:
            found = metric_series(get_metric(metric), tables, metrics)
        except NcoreError as error:
            status, reason = "unreadable", str(error)
        else:
            accuracy, observed, others["test_variance"] = dict(found.validation), found.test, found.test_variance
            said = "; ".join(filter(None, [said.rstrip("."), found.note]))
    if wrong := [f"{value:g} after epoch {epoch}" for epoch, value in accuracy.items() if not 0 <= value <= 1]:
        status, accuracy = "unreadable", {}
        reason = f"Its validation accuracy is {wrong[0]}, but a fraction in [0, 1] is needed."
    known = np.array([epoch for epoch in sorted(accuracy) if epochs is None or epoch <= epochs], dtype=np.int64)
    others |= {name: _at(known, series[key]) for name, key in zip(_OPTIONAL, _KEYS, strict=True) if key in series}
    planned = 0 if pd.isna(row["planned_epochs"]) else int(row["planned_epochs"])
    if status == "finished" and 0 < max(accuracy, default=0) < planned:
        others["ended"] = max(accuracy)
    if np.isfinite(suits := before.get(("probe", "logme"), np.nan)):
        others["scores"] = {PROBE_LOGME: suits}
    if tables is not None:
        manifest = getattr(tables, "manifest", None)
        others["test_images"] = test_images(manifest)
        others |= made_with(manifest)
        others["costs"] = dict(getattr(manifest, "costs", {}))
        others["baseline"] = str(getattr(manifest, "info", {}).get("baseline") or "")
        others["sketch"] = sketch_of(getattr(manifest, "digests", {}).get("sketch"))
    return Curve(
        candidate=str(row["run"] if pd.isna(row["candidate"]) else row["candidate"]),
        seed=0 if pd.isna(row["seed"]) else int(row["seed"]),
        epochs=known,
        accuracy=_at(known, accuracy),
        beta={strength: _at(known, values) for strength, values in sorted(beta.items())},
        horizon=max([planned, 1, *accuracy]),
        status=status,
        reason=reason,
        observed=observed,
        dataset="" if pd.isna(row["dataset"]) else str(row["dataset"]),
        mode="" if pd.isna(row["mode"]) else str(row["mode"]),
        warnings=said,
        **others,
    )


def _by_epoch(metrics: pd.DataFrame) -> dict[tuple[str, str], dict[int, float]]:
    """Value by epoch >= 1, of the last step of an epoch, by split and name; what is not finite is left out."""
    epoch = metrics["epoch"].to_numpy(np.int64)
    step, value = (metrics[column].to_numpy(np.float64, na_value=np.nan) for column in ("step", "value"))
    splits, names = (metrics[column].to_numpy(object) for column in ("split", "name"))
    usable = (epoch >= 1) & np.isfinite(value)
    series: dict[tuple[str, str], dict[int, float]] = {}
    for split, name in (("validation", "accuracy"), *_KEYS):
        rows = np.flatnonzero(usable & (splits == split) & (names == name))
        rows = rows[np.argsort(step[rows], kind="stable")]  # a value without a step, NaN, is its epoch's last word
        if rows.size:
            series[split, name] = dict(zip(epoch[rows].tolist(), value[rows].tolist(), strict=True))
    return series


def _before_training(metrics: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Values of epoch 0 by split and name."""
    first = (metrics["epoch"] == 0).to_numpy(bool)
    split, name, value = (metrics[column].to_numpy(object)[first] for column in ("split", "name", "value"))
    return {(split, name): float(value) for split, name, value in zip(split, name, value, strict=True)}


def _whole_graph(capacitance: pd.DataFrame) -> dict[str, dict[int, float]]:
    """beta_eff of the whole graph (layer 0) by strength and epoch."""
    whole = capacitance["layer"].to_numpy() == 0
    beta: dict[str, dict[int, float]] = {}
    columns = (capacitance[column].to_numpy()[whole].tolist() for column in ("strength", "epoch", "beta_eff"))
    for strength, epoch, value in zip(*columns, strict=True):
        beta.setdefault(strength, {})[epoch] = value
    return beta


def _at(epochs: IntArray, values: Mapping[int, float]) -> FloatArray:
    """The values at these epochs, NaN where there is none; shape (k,)."""
    return np.array([values.get(epoch, np.nan) for epoch in epochs.tolist()], dtype=np.float64)


#: Curves seen at the same epochs: these, shape (k,), the accuracies, shape (n, k), and the curves.
Group = tuple[FloatArray, FloatArray, list[Curve]]


def grouped(curves: Sequence[Curve]) -> list[Group]:
    """Sort curves by the epochs they have, so that they can be computed with at once.

    The order of groups and of curves in them depends on their values only, not on the order they come in.
    """
    found: dict[tuple[int, ...], list[Curve]] = {}
    for curve in sorted(curves, key=lambda curve: (curve.accuracy.tolist(), curve.horizon)):
        found.setdefault(tuple(curve.epochs.tolist()), []).append(curve)
    return [
        (np.array(epochs, dtype=np.float64), np.array([curve.accuracy for curve in members]), members)
        for epochs, members in sorted(found.items())
    ]
