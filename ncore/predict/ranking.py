"""From early learning curves to a ranking of candidates with its uncertainty."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ncore.errors import NcoreError
from ncore.predict.calibration import LEVEL
from ncore.predict.curves import Curve, StoreLike, curves_from_store
from ncore.predict.experience import Task
from ncore.predict.forecast import Predictor
from ncore.predict.predictors.registry import DEFAULT_METHOD, get_predictor
from ncore.predict.ranker import Past, Ranker
from ncore.predict.units import in_units
from ncore.scores.metrics import ACCURACY, find_metric, get_metric
from ncore.store.limits import Limits

__all__ = ["metric_of_recipe", "rank", "rank_curves"]


def rank(
    store: StoreLike | str | os.PathLike[str],
    dataset: str | None = None,
    epochs: int | None = None,
    method: str | Predictor = DEFAULT_METHOD,
    mode: str | None = None,
    level: float = LEVEL,
    seed: int = 0,
    metric: str | None = None,
    under: Limits | Mapping[str, Any] | None = None,
    all_variants: bool = False,
) -> pd.DataFrame:
    """Rank the candidates of a store by the final accuracy that they reached, or that their epochs so far promise.

    Or by another metric: then read accuracy as that.

    By default this is as of now: with all that is known. As of an earlier epoch it is what would have been said then:
    of the runs that are ranked, whatever came after that epoch, where they ended above all, is not used.

    The method learns from, and has its interval calibrated on, finished runs of other datasets in the same training
    mode: those of the benchmark that comes with the package, and, if it learns, those of the store. Those are taken as
    they are now, as of any epoch.

    Args:
        store: An open store, or its path or URL.
        dataset: The dataset; None if the store holds only one.
        epochs: The epoch as of which to rank; None for now.
        method: Name of a predictor (``predictor_names()``), or a predictor.
        mode: The training mode; None if the runs share one.
        level: Probability of the interval, in (0, 1).
        seed: Of the Monte-Carlo draws behind ``p_best``.
        metric: What is ranked by, a name of ``ncore.scores.metrics.metric_names()``; None for what the recipe of the
            newest run named, else the accuracy. ``attrs["metric"]`` of the table says which it was.
        under: What a candidate may cost to use, as ``{"ms": 20, "mb": 50}``; those above are left out, and named in
            ``attrs["over"]``.
        all_variants: Rank each way in which a candidate was trained by itself, instead of judging it by the best.

    Returns:
        One row a candidate, as ``rank_curves`` describes.

    Raises:
        InputError: As ``curves_from_store`` and ``rank_curves`` say.
        StoreError: The store cannot be opened.
    """
    if isinstance(store, str | os.PathLike):
        from ncore.store import open_store

        store = open_store(os.fspath(store))
    metric = metric_of_recipe(store, dataset, mode) if metric is None else get_metric(metric).name
    curves = curves_from_store(store, dataset=dataset, mode=mode, metric=metric)
    ranker = Ranker(method, Past.of(store, _common(curves, "dataset"), _common(curves, "mode"), metric))
    limits = under if under is None or isinstance(under, Limits) else Limits.parse(under)
    return in_units(ranker.rank(curves, epochs, level, seed, limits, all_variants))


def metric_of_recipe(store: StoreLike, dataset: str | None = None, mode: str | None = None) -> str:
    """The metric that the recipe of the newest of these runs named; the accuracy if it named none, or can't be read.

    Args:
        store: An open store.
        dataset, mode: Of the runs; None for any.
    """
    runs = store.runs()
    for column, wanted in (("dataset", dataset), ("mode", mode)):
        runs = runs if wanted is None else runs[runs[column] == wanted]
    if runs.empty or "created" not in runs:
        return ACCURACY
    try:
        newest = store.run(runs.sort_values("created", kind="stable")["run"].iloc[-1])
    except NcoreError:
        return ACCURACY
    named = find_metric(str(getattr(getattr(newest, "manifest", None), "info", {}).get("metric", "")))
    return named.name if named else ACCURACY


def rank_curves(
    curves: Iterable[Curve],
    epochs: int | None = None,
    method: str | Predictor = DEFAULT_METHOD,
    level: float = LEVEL,
    seed: int = 0,
    experience: Sequence[Task] | None = None,
) -> pd.DataFrame:
    """Rank the candidates that these curves belong to.

    The seeds of a candidate are combined into the forecast for one more run of it: its mean is the mean of theirs, its
    variance the mean of their variances plus the variance between their means. Each candidate is then a normal
    distribution clipped to [0, 1]. An error that the predictor says is shared by all leaves their order as it is, and
    has no part in ``p_best``; the rest is independent of the others'.

    A candidate whose runs have all ended by the epoch, with final accuracies that are known, is measured: it is taken
    at their mean, with the uncertainty of a mean over seeds and of a finite test set as far as these are known. A run
    that has reached its planned end, but whose final accuracy is not known, is read at its last accuracy.

    A candidate that was trained in several ways, which differ in settings of the training, is judged by the best of
    these variants, and its warning says so. The best is the one with the highest forecast, or last validation accuracy:
    test accuracies have no part in that choice.

    A failed or unreadable run has no say in the prediction but is named in the warnings, even if it failed after
    ``epochs``. A candidate with no other run, or with no finished epoch yet, comes last, with NaN for its prediction.

    Args:
        curves: The runs of one dataset and training mode; of each, epochs 1 to ``epochs`` are used.
        epochs: The epoch as of which to rank; None for the last that any run has.
        method: Name of a predictor (``predictor_names()``), or a predictor.
        level: Probability of the interval, in (0, 1).
        seed: Of the Monte-Carlo draws behind ``p_best``.
        experience: Finished runs of other tasks, for a method given by name to learn from and to have its interval
            calibrated on besides those of the benchmark; an empty one leaves the benchmark away, too. A predictor is
            used as it is: ``fit`` it first.

    Returns:
        One row a candidate, sorted by rank, with the columns

        - candidate: its name;
        - predicted, lower, upper: accuracy at the end of training, or the metric that the curves are of, and its
          interval, fractions or the metric's units;
        - rank: 1 is best; equal predictions have equal ranks, the best of theirs (1, 2, 2, 4);
        - p_best: probability of being the best of those that can be ranked; sums to 1, draws shared by ties;
        - seeds: how many runs the prediction rests on;
        - epochs: the last epoch used, the smallest over seeds;
        - observed: mean final test accuracy of the runs where it is known, else NaN;
        - warning: what to know before trusting the row, empty if nothing;
        - kind: "measured" or "forecast".

        ``attrs`` of the table holds the method, its label, the epochs, the level, each candidate's standard deviation
        of what it doesn't share with the others, the metric, and, where the runs were recognised to share pictures
        with other datasets, of the benchmark or of one's own, so that nothing was learned of these, their names
        (``held_out``); of a predictor, which is used as it is, nothing is held out. ``variants`` says which variant a
        candidate is judged by.

    Raises:
        InputError: There is no curve or none that can be ranked, or an argument is out of range, or the method
            needs more epochs than ``epochs`` or a beta_eff that no run recorded.

    Example:
        >>> import numpy as np
        >>> early = np.array([1, 2])
        >>> curves = [
        ...     Curve("small", 0, early, np.array([0.5, 0.6]), {}, horizon=4),
        ...     Curve("large", 0, early, np.array([0.7, 0.8]), {}, horizon=4),
        ... ]
        >>> rank_curves(curves, epochs=2, method="last")[["candidate", "predicted", "rank"]]
          candidate  predicted  rank
        0     large        0.8     1
        1     small        0.6     2
    """
    curves = list(curves)
    if isinstance(method, str) and experience is not None and not experience:
        method = get_predictor(method)
    metric = _common(curves, "metric") or ACCURACY
    past = Past([curve.dataset for curve in curves], _common(curves, "mode"), lambda: experience or (), metric)
    return in_units(Ranker(method, past).rank(curves, epochs=epochs, level=level, seed=seed))


def _common(curves: Sequence[Curve], what: str) -> str:
    """The dataset or mode of all runs that have one (a damaged one may not), empty if they differ."""
    found = {getattr(curve, what) for curve in curves} - {""}
    return found.pop() if len(found) == 1 else ""
