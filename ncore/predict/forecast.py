"""What a predictor is: from the early epochs of all candidates of a task to a forecast of each final accuracy."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ncore.errors import InputError
from ncore.predict.curves import Curve


@dataclass(frozen=True)
class Forecast:
    """Predictive distribution of the accuracy of one run at its horizon: a normal one, clipped to [0, 1].

    Attributes:
        mean: Predicted accuracy, in [0, 1].
        sd: Its standard deviation before clipping, >= 0.
        warning: What to know before trusting it; empty if nothing.

    Raises:
        InputError: The mean is not in [0, 1], or sd is negative or not finite.
    """

    mean: float
    sd: float
    warning: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.mean <= 1 and 0 <= self.sd < math.inf):
            raise InputError(
                f"The forecast {self.mean} +- {self.sd} must have a mean in [0, 1] and a finite standard deviation "
                ">= 0: the predictor has to clip it."
            )


class Predictor(ABC):
    """From early learning curves to final accuracies.

    A predictor sees the curves of all candidates of a task at once, so that models which share strength between
    candidates have the same interface as those that look at one curve at a time. Whatever it was fitted on before
    (finished runs of other tasks, say) it gets in its constructor.

    Attributes:
        name: Its name in `get_predictor` and on the command line.
        label: Its name in tables and figures.
        description: What it does, in a sentence.
        min_epochs: How many epochs it needs.
        strength: The strength of beta_eff that it needs, None if it needs none.
    """

    name: str
    label: str
    description: str
    min_epochs: int = 1
    strength: str | None = None

    @abstractmethod
    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast the accuracy of each run at its horizon.

        Args:
            curves: The runs of one task, each with one epoch or more.

        Returns:
            One forecast a curve, in the same order.
        """
