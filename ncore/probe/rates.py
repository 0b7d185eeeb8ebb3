"""Learning rates where a recipe gives none: by what is trained, whether it comes with weights, and the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ncore.probe.settings import TrainingSettings

if TYPE_CHECKING:
    from ncore.probe.sources.candidate_spec import CandidateSpec

__all__ = ["RATES", "Rates", "with_rates"]


@dataclass(frozen=True)
class Rates:
    """Learning rates of an optimizer.

    Attributes:
        fresh: Of what begins at random: the unit, and a backbone without weights.
        pretrained: In mode "all", of a backbone that comes with weights, which large steps would undo.
        transformers: The same of one from transformers, whose usual rate is lower still.
    """

    fresh: float
    pretrained: float
    transformers: float


#: Whoever changes them makes other runs of recipes that give no rate: runs keep the rate, and it is part of their id.
RATES: Mapping[str, Rates] = {"adamw": Rates(1e-3, 1e-4, 5e-5), "sgd": Rates(5e-2, 5e-3, 5e-3)}


def with_rates(settings: TrainingSettings, candidate: CandidateSpec | None = None) -> TrainingSettings:
    """The same settings with a learning rate, where they have none.

    A rate that is given is that of all that is trained, unless ``backbone_learning_rate`` is given too.

    Args:
        settings: As a recipe gives them.
        candidate: What is trained; None if it comes without weights.

    Example:
        >>> found = with_rates(TrainingSettings(mode="all"))
        >>> found.learning_rate, found.backbone_learning_rate
        (0.001, None)
    """
    if settings.learning_rate is not None:
        return settings
    rates, own = RATES[settings.optimizer], settings.backbone_learning_rate
    # Below a frozen unit that begins at random a backbone has to go far, with weights as without.
    if settings.mode == "all" and own is None and candidate is not None and candidate.pretrained:
        own = rates.transformers if candidate.kind == "hf" else rates.pretrained
    return settings.model_copy(update={"learning_rate": rates.fresh, "backbone_learning_rate": own})
