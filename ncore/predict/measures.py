"""How good a ranking was: measures of predicted against true final accuracies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.predict.curves import FloatArray

__all__ = [
    "MEASURES",
    "Measure",
    "Values",
    "evaluate",
    "kendall",
    "precision_at_3",
    "regret",
    "spearman",
    "weighted_kendall",
]

Values = Sequence[float] | npt.NDArray[np.floating]


def spearman(predicted: Values, true: Values) -> float:
    """Spearman's rho: the correlation of the ranks, ties having their average rank.

    Args:
        predicted: Predicted accuracies, shape (n,); NaN is no prediction and ranks below all others.
        true: True accuracies, shape (n,); candidates whose truth is NaN are left out.

    Returns:
        In [-1, 1], higher is better; NaN for fewer than two candidates or if either side is constant.

    Example:
        >>> round(spearman([0.1, 0.2, 0.3], [0.5, 0.7, 0.9]), 12)
        1.0
    """
    from scipy.stats import rankdata

    guess, truth = _pairs(predicted, true)
    if _is_constant(guess) or _is_constant(truth):
        return float("nan")
    return float(np.clip(np.corrcoef(rankdata(guess), rankdata(truth))[0, 1], -1, 1))


def kendall(predicted: Values, true: Values) -> float:
    """Kendall's tau-b: concordant less discordant pairs, corrected for ties on either side.

    Args and the return value are as for ``spearman``.

    Example:
        >>> round(kendall([1, 2, 3, 4], [1, 2, 4, 3]), 12)
        0.666666666667
    """
    from scipy.stats import kendalltau

    guess, truth = _pairs(predicted, true)
    if _is_constant(guess) or _is_constant(truth):
        return float("nan")
    return float(kendalltau(guess, truth).statistic)


def weighted_kendall(predicted: Values, true: Values) -> float:
    """Vigna's weighted tau: a pair counts 1/r + 1/s, r and s being the ranks of its two members.

    The top of the ranking so weighs most. It is the average of the two values that ranking by truth and by prediction
    give (Vigna, *A weighted correlation index for rankings with ties*, WWW 2015), SciPy's
    default. Args and the return value are as for ``spearman``.

    Example:
        >>> weighted_kendall([1, 2, 3, 4], [1, 2, 4, 3]) < kendall([1, 2, 3, 4], [1, 2, 4, 3])
        True
    """
    from scipy.stats import weightedtau

    guess, truth = _pairs(predicted, true)
    if _is_constant(guess) or _is_constant(truth):
        return float("nan")
    return float(np.clip(weightedtau(guess, truth).statistic, -1, 1))


def regret(predicted: Values, true: Values) -> float:
    """Accuracy lost by taking the first choice: the best true accuracy less that of the predicted best.

    Where several are predicted best, their mean accuracy counts: one of them is taken at random.

    Args:
        predicted: As for ``spearman``.
        true: As for ``spearman``, fractions.

    Returns:
        Accuracy points, in [0, 100], lower is better; NaN for fewer than two candidates.

    Example:
        >>> regret([0.5, 0.75], [0.75, 0.5])
        25.0
    """
    guess, truth = _pairs(predicted, true)
    if truth.size < 2:
        return float("nan")
    return 100 * max(0.0, float(truth.max() - truth[guess == guess.max()].mean()))


def precision_at_3(predicted: Values, true: Values) -> float:
    """Share of the predicted top three that is in the true top three.

    Ties are broken at random, on each side by itself; the value is the expectation.

    Args:
        predicted: As for ``spearman``.
        true: As for ``spearman``.

    Returns:
        In [0, 1], higher is better; NaN for three candidates or fewer, which would score 1 whatever is predicted.

    Example:
        >>> round(precision_at_3([5, 4, 3, 2, 1], [5, 4, 1, 2, 3]), 3)
        0.667
    """
    guess, truth = _pairs(predicted, true)
    if truth.size <= 3:
        return float("nan")
    return float(_in_top(guess, 3) @ _in_top(truth, 3)) / 3


@dataclass(frozen=True)
class Measure:
    """A ranking measure with its direction and range, so that tables and figures need not know them.

    Attributes:
        name: Key in ``MEASURES`` and ``evaluate``.
        function: From predicted and true accuracies, each of shape (n,), to the value.
        higher_is_better: Direction.
        lower_bound: Smallest value possible.
        upper_bound: Largest value possible.
        unit: Unit, empty for a pure number.
        description: How to read it, in a sentence.
    """

    name: str
    function: Callable[[Values, Values], float]
    higher_is_better: bool
    lower_bound: float
    upper_bound: float
    unit: str
    description: str


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("spearman", spearman, True, -1, 1, "", "Rank correlation: 1 is the true order, 0 is chance."),
        Measure("kendall", kendall, True, -1, 1, "", "Pairs in the right order less pairs in the wrong one."),
        Measure("weighted_kendall", weighted_kendall, True, -1, 1, "", "Kendall's tau in which the top weighs most."),
        Measure("regret", regret, False, 0, 100, "accuracy points", "Accuracy lost by taking the first choice."),
        Measure(
            "precision_at_3", precision_at_3, True, 0, 1, "", "Share of the predicted top three that belongs there."
        ),
    )
}


def evaluate(predicted: Values, true: Values) -> dict[str, float]:
    """All measures of one ranking, by name.

    Args:
        predicted: As for ``spearman``.
        true: As for ``spearman``.

    Raises:
        InputError: The two differ in length.

    Example:
        >>> evaluate([0.5, 0.75], [0.75, 0.5])["regret"]
        25.0
    """
    return {name: measure.function(predicted, true) for name, measure in MEASURES.items()}


def _pairs(predicted: Values, true: Values) -> tuple[FloatArray, FloatArray]:
    """Both sides as arrays, without unknown truths, and with missing predictions below all others."""
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if guess.ndim != 1 or guess.shape != truth.shape:
        raise InputError(
            f"The predicted accuracies have shape {guess.shape} and the true ones {truth.shape}: give two lists "
            "of one length, candidate by candidate."
        )
    known = ~np.isnan(truth)
    return np.where(np.isnan(guess), -np.inf, guess)[known], truth[known]


def _is_constant(values: FloatArray) -> bool:
    """Whether there are no two different values, so that there is nothing to correlate."""
    return values.size < 2 or bool(np.all(values == values[0]))


def _in_top(values: FloatArray, size: int) -> FloatArray:
    """Probability of being among the ``size`` largest when ties are broken at random, shape (n,)."""
    threshold = np.partition(values, -size)[-size]
    above, tied = values > threshold, values == threshold
    inside: FloatArray = above + tied * (size - above.sum()) / tied.sum()
    return inside
