"""From early learning curves to a ranking of candidates with its uncertainty."""

import math
import os
from collections.abc import Iterable, Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from ncore.errors import InputError
from ncore.predict.calibration import LEVEL
from ncore.predict.curves import Curve, FloatArray, StoreLike, curves_from_store
from ncore.predict.experience import Task, tasks_from_store
from ncore.predict.forecast import Forecast, Predictor
from ncore.predict.predictors.registry import DEFAULT_METHOD, get_predictor, taught

__all__ = ["COLUMNS", "DRAWS", "combine", "probability_of_best", "rank", "rank_curves"]

#: Monte-Carlo draws behind `p_best`: its standard error is 0.005 at most.
DRAWS = 10_000
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
)


def rank(
    store: StoreLike | str | os.PathLike[str],
    dataset: str | None = None,
    epochs: int = 5,
    method: str | Predictor = DEFAULT_METHOD,
    mode: str | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank the candidates of a store by the final accuracy that their first epochs promise.

    The method learns from, and has its interval calibrated on, finished runs of other datasets in the same training
    mode: those of the benchmark that comes with the package, and, if it learns, those of the store.

    Args:
        store: An open store, or its path or URL.
        dataset: The dataset; None if the store holds only one.
        epochs: Use epochs 1 to this one.
        method: Name of a predictor (``predictor_names()``), or a predictor.
        mode: The training mode; None if the runs share one.
        level: Probability of the interval, in (0, 1).
        seed: Of the Monte-Carlo draws behind ``p_best``.

    Returns:
        One row a candidate, as ``rank_curves`` describes.

    Raises:
        InputError: As ``curves_from_store`` and ``rank_curves`` say.
        StoreError: The store cannot be opened.
    """
    if isinstance(store, str | os.PathLike):
        from ncore.store import open_store

        store = open_store(os.fspath(store))
    curves = curves_from_store(store, dataset=dataset, mode=mode)
    own: list[Task] = []
    if isinstance(method, str) and get_predictor(method).learns:
        modes, datasets = ({getattr(curve, name) for curve in curves} - {""} for name in ("mode", "dataset"))
        own = tasks_from_store(store, next(iter(modes), ""), without=sorted(datasets))
    return rank_curves(curves, epochs=epochs, method=method, level=level, seed=seed, experience=own or None)


def rank_curves(
    curves: Iterable[Curve],
    epochs: int = 5,
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

    A failed or unreadable run has no say in the prediction but is named in the warnings, even if it failed after
    ``epochs``. A candidate with no other run, or with no finished epoch yet, comes last, with NaN for its prediction.

    Args:
        curves: The runs of one dataset and training mode; of each, epochs 1 to ``epochs`` are used.
        epochs: The epoch as of which to rank.
        method: Name of a predictor (``predictor_names()``), or a predictor.
        level: Probability of the interval, in (0, 1).
        seed: Of the Monte-Carlo draws behind ``p_best``.
        experience: Finished runs of other tasks, for a method given by name to learn from and to have its interval
            calibrated on besides those of the benchmark; an empty one leaves the benchmark away, too. A predictor is
            used as it is: ``fit`` it first.

    Returns:
        One row a candidate, sorted by rank, with the columns

        - candidate: its name;
        - predicted, lower, upper: predicted accuracy at the end of training and its interval, fractions;
        - rank: 1 is best; equal predictions have equal ranks, the best of theirs (1, 2, 2, 4);
        - p_best: probability of being the best of those that can be ranked; sums to 1, draws shared by ties;
        - seeds: how many runs the prediction rests on;
        - epochs: the last epoch used, the smallest over seeds;
        - observed: mean final test accuracy of the runs where it is known, else NaN;
        - warning: what to know before trusting the row, empty if nothing.

        ``attrs`` of the table holds the method, its label, the epochs and the level.

    Raises:
        InputError: There is no curve or none that can be ranked, or an argument is out of range, or the method
            needs more epochs than ``epochs`` or a beta_eff that no run recorded.

    Example:
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
    if isinstance(method, str):
        predictor = get_predictor(method)
        if experience is None or experience:
            modes = {curve.mode for curve in curves}
            mode = modes.pop() if len(modes) == 1 else ""
            predictor = taught(method, mode, [curve.dataset for curve in curves if curve.dataset], experience or ())
    else:
        predictor = method
    # Sorted, so that the result does not depend on the order in which runs were listed.
    curves = sorted(curves, key=lambda curve: (curve.candidate, curve.seed))
    used = [curve.until(epochs) for curve in curves]
    usable = [curve for curve in used if curve.usable]
    _check(predictor, epochs, level, used, usable)
    forecasts = dict(zip(map(id, usable), predictor.predict(usable), strict=True))

    groups: dict[str, list[int]] = {}
    for index, curve in enumerate(curves):
        groups.setdefault(curve.candidate, []).append(index)
    longest = max(curve.horizon for curve in usable)
    half_width = NormalDist().inv_cdf(0.5 + level / 2)
    apart = all(forecast.shared > 0 for forecast in forecasts.values())
    rows = []
    for candidate, members in groups.items():
        seen = [used[index] for index in members]
        rated = [(curve, forecasts[id(curve)]) for curve in seen if id(curve) in forecasts]
        mean, sd = combine([forecast for _, forecast in rated])
        observed = [accuracy for index in members if math.isfinite(accuracy := curves[index].observed)]
        rows.append(
            {
                "candidate": candidate,
                "predicted": mean,
                "lower": float(np.clip(mean - half_width * sd, 0, 1)),
                "upper": float(np.clip(mean + half_width * sd, 0, 1)),
                "own": combine([forecast for _, forecast in rated], apart)[1],
                "seeds": len(rated),
                "epochs": min((int(curve.epochs[-1]) for curve, _ in rated), default=0),
                "observed": math.fsum(observed) / len(observed) if observed else math.nan,
                "warning": _warnings(seen, forecasts, epochs, longest),
            }
        )
    table = pd.DataFrame(rows)
    table["rank"] = table["predicted"].rank(ascending=False, method="min", na_option="bottom").astype(int)
    table["p_best"] = probability_of_best(table["predicted"].to_numpy(), table["own"].to_numpy(), seed)
    table = table.sort_values(["rank", "p_best", "candidate"], ascending=[True, False, True], ignore_index=True)
    table = table[list(COLUMNS)]
    table.attrs = {"method": predictor.name, "label": predictor.label, "epochs": epochs, "level": level}
    return table


def combine(forecasts: Sequence[Forecast], apart: bool = False) -> tuple[float, float]:
    """Mean and standard deviation for one more run of a candidate, from the forecasts of its seeds.

    The variance is the mean variance within the seeds plus the unbiased variance between their means (none for a
    single seed). Both are NaN if there is no forecast.

    Args:
        forecasts: Of its runs.
        apart: Leave out the error that they share with all other candidates.

    Example:
        >>> combine([Forecast(0.75, 0.0), Forecast(0.25, 0.0)])[0]
        0.5
    """
    n = len(forecasts)
    if n == 0:
        return math.nan, math.nan
    mean = math.fsum(forecast.mean for forecast in forecasts) / n
    within = math.fsum((forecast.own if apart else forecast.sd) ** 2 for forecast in forecasts) / n
    between = math.fsum((forecast.mean - mean) ** 2 for forecast in forecasts) / max(n - 1, 1)
    return mean, math.sqrt(within + between)


def probability_of_best(means: FloatArray, sds: FloatArray, seed: int = 0) -> FloatArray:
    """Probability that each of several independent normal variables, clipped to [0, 1], is the largest.

    Args:
        means: Shape (n,); NaN for what cannot be the best.
        sds: Standard deviations before clipping, shape (n,).
        seed: Of the ``DRAWS`` Monte-Carlo draws.

    Returns:
        Shape (n,), summing to 1; a draw in which several are largest is shared between them.

    Example:
        >>> probability_of_best(np.array([0.5, 0.5, 0.4]), np.zeros(3)).tolist()
        [0.5, 0.5, 0.0]
    """
    draws = np.random.default_rng(seed).standard_normal((DRAWS, means.size))
    draws = np.nan_to_num(np.clip(means + sds * draws, 0, 1), nan=-1.0)
    best = draws == draws.max(axis=1, keepdims=True)
    shares: FloatArray = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def _check(predictor: Predictor, epochs: int, level: float, curves: Sequence[Curve], usable: Sequence[Curve]) -> None:
    """Refuse what cannot be ranked."""
    if not 0 < level < 1:
        raise InputError(f"The level {level} of the interval must be a probability in (0, 1): give 0.9, say.")
    if epochs < 1:
        raise InputError(f"The value epochs={epochs} must be 1 or more: give the epoch as of which to rank.")
    if epochs < predictor.min_epochs:
        raise InputError(
            f"The method {predictor.name!r} needs {predictor.min_epochs} epochs or more but got epochs={epochs}: "
            f"give more, or use another method ({DEFAULT_METHOD!r} needs one)."
        )
    if not curves:
        raise InputError("A ranking needs one run or more but got 0 curves: give some.")
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


def _problem(curve: Curve, epochs: int) -> str:
    """What is wrong with a run by itself, empty if nothing."""
    if curve.status in ("failed", "unreadable"):
        return f"{curve.status}: {curve.reason or 'no reason was recorded'}"
    if curve.epochs.size == 0:
        return f"{curve.status}, with no validation accuracy in epochs 1 to {epochs}"
    if curve.epochs[-1] < epochs:
        return f"{curve.status}, with {curve.epochs[-1]} of the {epochs} epochs asked for"
    return ""


def _warnings(curves: Sequence[Curve], forecasts: dict[int, Forecast], epochs: int, longest: int) -> str:
    """All that is to be said of one candidate's runs, each warning once, with the seeds that it is about."""
    seeds: dict[str, list[int]] = {}
    for curve in curves:
        texts = [_problem(curve, epochs), curve.warnings.rstrip(".")]
        if id(curve) in forecasts:
            texts.append(forecasts[id(curve)].warning)
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
