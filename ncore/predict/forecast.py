"""What a predictor is: from the early epochs of all candidates of a task to a forecast of each final accuracy."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ncore.errors import InputError
from ncore.predict.curves import Curve
from ncore.predict.experience import Task

__all__ = ["Calibration", "Family", "Forecast", "Predictor", "Reads"]


@dataclass(frozen=True)
class Forecast:
    """Predictive distribution of the accuracy of one run at its horizon: a normal one, clipped to [0, 1].

    Attributes:
        mean: Predicted accuracy, in [0, 1].
        sd: Its standard deviation before clipping, >= 0.
        warning: What to know before trusting it; empty if nothing.
        shared: The part of ``sd`` that stems from an error made for all runs of the task alike, in [0, sd]: it moves
            them together and leaves their order as it is. 0 where a predictor doesn't tell it apart.

    Raises:
        InputError: The mean is not in [0, 1], or sd is negative or not finite, or less than its part.
    """

    mean: float
    sd: float
    warning: str = ""
    shared: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.mean <= 1 and 0 <= self.sd < math.inf):
            raise InputError(
                f"The forecast {self.mean} +- {self.sd} must have a mean in [0, 1] and a finite standard deviation "
                ">= 0: the predictor has to clip it."
            )
        if not 0 <= self.shared <= self.sd:
            raise InputError(f"The shared part {self.shared} of a standard deviation must be in [0, {self.sd}].")

    @property
    def own(self) -> float:
        """The standard deviation of what is not shared: sqrt(sd^2 - shared^2)."""
        return math.sqrt(max(self.sd**2 - self.shared**2, 0.0))


class Family(StrEnum):
    """What kind of a model a predictor is."""

    NAIVE = "naive"
    """Read off the curve: no model."""
    CURVE = "curve"
    """A law of learning curves, fitted to each run."""
    CAPACITANCE = "capacitance"
    """A regression on beta_eff."""
    LEARNED = "learned"
    """What finished runs of other tasks have taught."""
    OTHER = "other"
    """Any other model, a user's own say."""


class Reads(StrEnum):
    """What a predictor reads of the runs of a task, or of others."""

    ACCURACY = "validation accuracies"
    LOSS = "validation losses"
    TRAINING = "training accuracies and losses"
    BETA_EFF = "beta_eff"
    LOGME = "LogME of the features before training"
    PAST = "how the same candidates did on other tasks"


class Calibration(StrEnum):
    """Where a predictor's intervals come from."""

    OWN = "its own assumptions"
    CONFORMAL = "its own, stretched so that they hold what they say on finished runs of other tasks"


class Predictor(ABC):
    """From early learning curves to final accuracies.

    A predictor sees the curves of all candidates of a task at once, so that models which share strength between
    candidates have the same interface as those that look at one curve at a time. What other tasks taught it, it gets
    by ``fit``, which returns another predictor and changes nothing: one in the registry never remembers a user.

    Attributes:
        name: Its name in ``get_predictor`` and on the command line.
        label: Its name in tables and figures.
        description: What it does, in a sentence.
        family: What kind of a model it is.
        reads: What it reads.
        ours: Whether it is this project's own, rather than published by others or obvious.
        calibration: Where its intervals come from.
        min_epochs: How many epochs it needs.
        strength: The strength of beta_eff that it needs, None if it needs none.
        score: The score that it reads besides the curves, of ``Curve.scores``; empty if none.
        joint: Whether the forecast of a run depends on the other runs of its task.
        learns: Whether its means, not only its intervals, depend on what it was fitted on.
        slow: Whether it takes seconds rather than milliseconds a candidate.
        extra: The optional dependencies of this package that it needs, empty if none.
    """

    name: str
    label: str
    description: str
    family: Family = Family.OTHER
    reads: tuple[Reads, ...] = (Reads.ACCURACY,)
    ours: bool = False
    calibration: Calibration = Calibration.OWN
    min_epochs: int = 1
    strength: str | None = None
    score: str = ""
    joint: bool = False
    learns: bool = False
    slow: bool = False
    extra: str = ""

    @property
    def of_the_paper(self) -> bool:
        """Whether it reads the final accuracy off beta_eff as the paper on neural capacitance does."""
        return self.family is Family.CAPACITANCE and not self.ours

    def take_facts(self, other: "Predictor") -> None:
        """Have all attributes of another predictor, whose forecasts this one changes or keeps."""
        for name in _FACTS:
            setattr(self, name, getattr(other, name))

    def fit(self, experience: Sequence[Task]) -> "Predictor":
        """The same predictor, having learned from finished runs of other tasks.

        Args:
            experience: Tasks other than the one to be predicted, runs with their final accuracy; may be empty.

        Returns:
            A predictor of the same name; itself where there is nothing to learn.
        """
        return self

    @abstractmethod
    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast the accuracy of each run at its horizon.

        Args:
            curves: The runs of one task, each with one epoch or more.

        Returns:
            One forecast a curve, in the same order.
        """


_FACTS = tuple(Predictor.__annotations__)
