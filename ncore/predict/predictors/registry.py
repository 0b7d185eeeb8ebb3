"""The predictors by name, and which of them is recommended."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Condition

import numpy as np
from cachetools import LRUCache, cached

from ncore.errors import InputError
from ncore.network.strengths import Strength
from ncore.predict.bundled import benchmark_tasks
from ncore.predict.by_share import ByShare
from ncore.predict.calibration import Calibrated
from ncore.predict.experience import Task
from ncore.predict.forecast import Predictor
from ncore.predict.predictors.capacitance import CapacitanceForecast, CapacitanceRegression
from ncore.predict.predictors.domhan import Domhan
from ncore.predict.predictors.freeze_thaw import FreezeThaw
from ncore.predict.predictors.history import History
from ncore.predict.predictors.laws import Law, exponential, power
from ncore.predict.predictors.naive import LowestLoss, Naive
from ncore.predict.predictors.pooled import Pooled

__all__ = ["BASELINE", "DEFAULT_METHOD", "RECOMMENDED", "Recommendation", "get_predictor", "predictor_names", "taught"]

BASELINE = "last"
"""The obvious method that costs nothing, against which all others are held."""


@dataclass(frozen=True)
class Recommendation:
    """The method that is used unless another one is asked for.

    Attributes:
        method: Its name.
        why: What it does, and why that orders candidates better than the baseline, in sentences.
        since: The evidence since which it is recommended.
    """

    method: str
    why: str
    since: str


RECOMMENDED = Recommendation(
    method="history-logme",
    why="It weighs the last validation accuracy, the last validation loss, and LogME, a score of how well a candidate’s"
    " features tell the classes apart before any training, by what finished runs of other tasks have taught; and "
    "where the same candidate was trained on other data before, how it did there. These err in different ways, so "
    "that together they order candidates better than the accuracy alone. Where there is nothing to learn from, it "
    "reads the last accuracy; a warning says so.",
    since="The highest mean Kendall's tau after 3 epochs in every mode of the benchmark, on three tasks of the modes "
    "all and backbone and nine of mode unit. `learned-logme`, the same for candidates that are new, was level with it "
    "in mode unit and recommended before; the other modes showed what the past of known candidates is worth.",
)
DEFAULT_METHOD = RECOMMENDED.method


def _learned(name: str, label: str, description: str, past: bool = False) -> list[Predictor]:
    """A predictor that learns, with and without LogME, and each with and without beta_eff: what either is worth."""
    found: list[Predictor] = []
    for logme in (False, True):
        for beta in (False, True):
            added = [words for words, wanted in (("LogME", logme), ("beta_eff", beta)) if wanted]
            found.append(
                History(
                    "-".join([name, *(["logme"] if logme else []), *(["beta"] if beta else [])]),
                    f"{label}, with {' and '.join(added)}" if added else label,
                    f"As `{name}`, and {_AND[logme, beta]}" if added else description,
                    ("level", "loss", *(["logme"] if logme else []), *(["beta"] if beta else [])),
                    strength=Strength.RELATIVE if beta else None,
                    past=past,
                )
            )
    return found


_AND = {
    (True, False): "LogME of the features before training",
    (False, True): "the relative beta_eff",
    (True, True): "LogME of the features before training and the relative beta_eff",
}
_LAST = Calibrated(
    Naive(BASELINE, "Last accuracy", "The validation accuracy after the last epoch", lambda values: values[-1])
)
_PREDICTORS: dict[str, Predictor] = {BASELINE: ByShare(_LAST, _LAST)} | {
    # Curves of a slow one are computed beforehand, epoch by epoch as they are.
    predictor.name: Calibrated(predictor) if predictor.slow else ByShare(Calibrated(predictor), _LAST)
    for predictor in (
        Naive("best", "Best accuracy", "The best validation accuracy so far", np.max),
        Naive("mean", "Mean accuracy", "The mean validation accuracy so far", np.mean),
        LowestLoss(),
        Law("exponential", "Exponential law", "a - b exp(-c t) fitted to the curve, read at its end", exponential),
        Law("power", "Power law", "a - b t^-c fitted to the curve, read at its end", power),
        CapacitanceRegression(Strength.ABSOLUTE),
        CapacitanceRegression(Strength.RELATIVE),
        CapacitanceRegression(Strength.SIGNED),
        CapacitanceForecast(Strength.ABSOLUTE),
        CapacitanceForecast(Strength.RELATIVE),
        Pooled(),
        FreezeThaw(),
        *_learned("learned", "Learned", "Last accuracy and validation loss, weighed as other finished tasks teach"),
        *_learned("history", "History", "The same, and where the same candidate stood on other tasks", past=True),
        Domhan(),
    )
}


def predictor_names(slow: bool = False) -> tuple[str, ...]:
    """Names that ``get_predictor`` and ``rank(method=...)`` take, naive ones first.

    Args:
        slow: Also those that take seconds a candidate, or that need an optional dependency.

    Example:
        >>> predictor_names()[:3]
        ('last', 'best', 'mean')
        >>> set(predictor_names(slow=True)) - set(predictor_names())
        {'domhan'}
    """
    return tuple(name for name, predictor in _PREDICTORS.items() if slow or not predictor.slow)


def get_predictor(name: str) -> Predictor:
    """The predictor of that name, not yet fitted on anything.

    Raises:
        InputError: There is none.

    Example:
        >>> get_predictor("capacitance-relative").strength
        'relative'
    """
    try:
        return _PREDICTORS[name]
    except KeyError:
        listed = ", ".join(map(repr, _PREDICTORS))
        raise InputError(f"The method {name!r} is not a predictor: use one of {listed}.") from None


def taught(name: str, mode: str, datasets: Sequence[str], own: Sequence[Task] = ()) -> Predictor:
    """The predictor of that name, fitted on the benchmark's finished runs and on a user's own.

    Slow ones are fitted on the user's own runs only, if there are any.

    Args:
        name: As for ``get_predictor``.
        mode: The training mode of what is to be predicted; empty if unknown.
        datasets: Those to be predicted: no task of the benchmark that may share images with them is used.
        own: Finished runs of a user's other tasks.
    """
    predictor = get_predictor(name)
    if own:
        return _fit(predictor, [*own, *(() if predictor.slow else benchmark_tasks(mode, datasets))], mode)
    return predictor if predictor.slow else _taught(name, mode, tuple(sorted(set(datasets))))


@cached(LRUCache(256), condition=Condition())
def _taught(name: str, mode: str, datasets: tuple[str, ...]) -> Predictor:
    """The same without own runs, remembered with all that it finds out about lengths and epochs."""
    predictor, tasks = get_predictor(name), benchmark_tasks(mode, datasets)
    return _fit(predictor, tasks, mode) if datasets else predictor.fit(tasks)


def _fit(predictor: Predictor, experience: Sequence[Task], mode: str) -> Predictor:
    """Fit one; where it is better than the last accuracy is judged on the whole benchmark, as which one is the default.

    Of a dataset that the benchmark has, too, that takes nothing but the choice between the two.
    """
    if not (isinstance(predictor, ByShare) and predictor.learns):
        return predictor.fit(experience)
    judge = _taught(predictor.name, mode, ())
    return predictor.fit(experience, judge if isinstance(judge, ByShare) else None)
