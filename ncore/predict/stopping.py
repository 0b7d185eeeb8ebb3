"""When to stop paying for a candidate: by the probability that it is still the best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

from ncore.errors import InputError
from ncore.predict.combining import combine, draws, forecasts
from ncore.predict.curves import Curve
from ncore.predict.experience import in_order
from ncore.predict.forecast import Forecast, Predictor

__all__ = ["LOOKS", "Standing", "StoppingRule", "standing"]

#: Epochs after which candidates are compared, each about 1.6 times the one before: pausing costs a reload.
LOOKS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987)


@dataclass(frozen=True)
class Standing:
    """What is known of the candidates of a task at some moment.

    Attributes:
        candidates: Names, the most probable best first.
        p_best: Probability of being the best of all, in that order; sums to 1.
        expected_regret: Accuracy points that taking the first choice, the highest expected accuracy, loses on average.
        choice: That candidate.
    """

    candidates: tuple[str, ...]
    p_best: tuple[float, ...]
    expected_regret: float
    choice: str

    def probability(self, candidate: str) -> float:
        """Of being the best; 0 for a candidate that isn't known."""
        return dict(zip(self.candidates, self.p_best, strict=True)).get(candidate, 0.0)


@dataclass(frozen=True)
class StoppingRule:
    """Which candidates go on, and until when.

    After each look the smallest set of candidates is kept that holds the best of all with probability ``1 - risk``; the
    others are stopped, and stay stopped. So the probability that the best was stopped is at most ``risk`` at every
    look, however many candidates there are, as far as the predictor's intervals can be trusted. As far as they can't,
    on data of a new kind, say, no more than half of the candidates are stopped at a look, as in successive halving
    (Jamieson and Talwalkar, AISTATS 2016).

    Attributes:
        risk: In [0, 1).
        target_regret: Accuracy points; as soon as the first choice is expected to lose no more, only it goes on.
        budget: Epochs of all runs together, the rest of the first choice's training included; None for no limit. No
            more candidates go on than it lasts for if each later look stops the share ``cut`` of them.
        looks: Epochs after which candidates are compared.
        cut: The largest share of the running candidates that is stopped at a look; the budget and the target regret may
            stop more.

    Raises:
        InputError: A value is out of range.
    """

    risk: float = 0.1
    target_regret: float | None = None
    budget: int | None = None
    looks: tuple[int, ...] = LOOKS
    cut: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.risk < 1:
            raise InputError(f"The risk {self.risk} of stopping the best candidate must be in [0, 1): give 0.1, say.")
        if self.target_regret is not None and not 0 <= self.target_regret <= 100:
            raise InputError(
                f"The target regret {self.target_regret} must be in accuracy points, 0 to 100: give 0.5, say."
            )
        if self.budget is not None and self.budget < 1:
            raise InputError(f"The budget {self.budget} must be 1 epoch or more, of all runs together.")
        if not self.looks or self.looks[0] < 1 or any(b <= a for a, b in pairwise(self.looks)):
            raise InputError(f"The looks {self.looks} must be epochs that increase from 1 or more.")
        if not 0 <= self.cut <= 1:
            raise InputError(f"The share {self.cut} that a look may stop must be in [0, 1]: give 0.5, say.")

    def looks_until(self, horizon: int, predictor: Predictor) -> list[int]:
        """The looks that a predictor can use before training ends at ``horizon``.

        Example:
            >>> from ncore.predict import get_predictor
            >>> StoppingRule().looks_until(10, get_predictor("last"))
            [1, 2, 3, 5, 8]
        """
        return [look for look in self.looks if predictor.min_epochs <= look < horizon]

    def keep(self, standing: Standing, running: Iterable[str]) -> list[str]:
        """Those of the running candidates that go on, the most probable best first; never none.

        Args:
            standing: Of all candidates, the stopped ones included.
            running: Those that are still trained.
        """
        going = [candidate for candidate in standing.candidates if candidate in set(running)]
        if self.target_regret is not None and standing.expected_regret <= self.target_regret:
            return [standing.choice] if standing.choice in going else going[:1]
        # What was stopped before keeps its share of the probability: it is part of the risk that was taken.
        enough, held = [], 0.0
        for candidate, probability in zip(standing.candidates, standing.p_best, strict=True):
            if held >= 1 - self.risk:
                break
            held += probability
            enough.append(candidate)
        kept = [candidate for candidate in going if candidate in enough]
        return kept if len(kept) >= self._fewest(len(going)) else going[: self._fewest(len(going))]

    def affordable(
        self, spent: float, runs: Sequence[float], epochs: Sequence[int], budget: float | None = None
    ) -> int:
        """With how many candidates the budget lasts to the end if each later look stops its largest share.

        Args:
            spent: Epochs so far.
            runs: Seeds of each candidate that may go on, the most probable best first: what an epoch of it costs.
            epochs: The one that they have reached, those of the later looks, and the one where training ends.
            budget: In place of the rule's own; in seconds, say, as are ``spent`` and ``runs`` then.

        Returns:
            A number from 0 (not even one) to ``len(runs)``.
        """
        if (budget := self.budget if budget is None else budget) is None:
            return len(runs)
        for count in range(len(runs), 0, -1):
            each = np.cumsum(sorted(runs[:count], reverse=True))  # those that cost the most may be the ones that go on
            going, cost = count, spent
            for length in np.diff(epochs):
                cost += float(each[going - 1] * length)
                going = self._fewest(going)
            if cost <= budget:
                return count
        return 0

    def _fewest(self, going: int) -> int:
        """How many of so many candidates go on at least."""
        return max(1, ceil((1 - self.cut) * going))


def standing(curves: Sequence[Curve], predictor: Predictor, seed: int = 0) -> Standing:
    """Forecast every candidate from all that was seen of it, and compare, as ``ncore.rank`` does.

    A run that reached its horizon is taken at its last accuracy, with the noise of a reading: test accuracies have no
    part in it. An error that all forecasts share leaves their order as it is, and is left out.

    Args:
        curves: The runs of one task, all as of one epoch or as far as they got by then; those that failed or have no
            epoch yet are left out.
        predictor: With ``fit`` done, if it learns.
        seed: Of the Monte-Carlo draws.

    Raises:
        InputError: No curve can be used.
    """
    usable = sorted((curve for curve in curves if curve.usable), key=in_order)
    if not usable:
        raise InputError(f"None of the {len(curves)} runs can be compared: each failed, or has no finished epoch.")
    found: dict[str, list[Forecast]] = {}
    for curve, forecast in zip(usable, forecasts(predictor, usable), strict=True):
        found.setdefault(curve.candidate, []).append(forecast)
    names = list(found)
    apart = all(forecast.shared > 0 for members in found.values() for forecast in members)
    means = np.array([combine(members)[0] for members in found.values()])
    drawn = draws(means, np.array([combine(members, apart)[1] for members in found.values()]), seed)
    best = drawn.max(axis=1, keepdims=True)
    at_best = drawn == best
    p_best = (at_best / at_best.sum(axis=1, keepdims=True)).mean(axis=0)
    by_name = np.argsort(np.argsort(names))
    order = np.lexsort((by_name, -means, -p_best))
    choice = int(np.lexsort((by_name, -p_best, -means))[0])
    return Standing(
        tuple(names[index] for index in order),
        tuple(float(p_best[index]) for index in order),
        100 * float((best[:, 0] - drawn[:, choice]).mean()),
        names[choice],
    )
