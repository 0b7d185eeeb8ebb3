"""The interaction strengths: what the entries of P can be made of, and how their beta_eff is read."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

__all__ = ["CURVATURE", "DENSE", "SHOWN", "Strength"]

_PER_SQUARED_WEIGHT = "loss per squared weight"
_FALLS = "It falls as training converges, because errors vanish."


class _Facts(NamedTuple):
    label: str
    unit: str
    meaning: str
    formula: str
    trust: str
    course: str
    layers: int = 1
    layers_cross_entropy: int = 1
    comparable: bool = False
    cancels: bool = False
    curvature: bool = False
    whole: bool = False


def _hessian(whole: bool, cross: bool) -> _Facts:
    of = "the whole candidate" if whole else "the head"
    pairs = "second derivatives between layers" if cross else "all second derivatives"
    return _Facts(
        label=f"Hessian{' of the candidate' if whole else ''}{' between layers' if cross else ''}",
        unit=_PER_SQUARED_WEIGHT,
        meaning=f"How strongly the synapses of {of} drive each other by {pairs} of the loss.",
        formula="`|P 1|² / (1ᵀ P 1)` with `P = ∂²C/∂w∂w`" + (", less the blocks of each layer with itself" * cross),
        trust="Defined for any architecture, and beyond the paper. As a curvature it need not vanish as training "
        "converges. Row sums of P can cancel, so look at the conditioning; **not comparable between candidates**.",
        course="The curvature that the synapses feel; unlike the others it need not vanish at the end.",
        cancels=True,
        curvature=True,
        whole=whole,
    )


class Strength(StrEnum):
    """What the entries of P are made of; a member is its own name, as a text.

    Attributes:
        label: Its name in tables and figures.
        unit: Of its beta_eff; empty for a pure number.
        meaning: What its beta_eff says, in a sentence.
        formula: How it is computed, as Markdown.
        trust: When it can be relied on, and when not, as Markdown.
        course: How its course over epochs is read.
        layers: Dense layers that a head needs for it; 1 where any architecture will do.
        layers_cross_entropy: The same with softmax and cross-entropy, whose output errors sum to zero.
        comparable: Whether its level can be compared between candidates.
        cancels: Whether interactions have signs, so that sums of them can cancel: then look at the conditioning.
        curvature: Whether it is made of the Hessian, rather than of back-propagation through a dense head.
        whole: Whether it is of the whole candidate, rather than of its unit.

    Example:
        >>> Strength("signed") is Strength.SIGNED, Strength.SIGNED == "signed", Strength.SIGNED.layers_cross_entropy
        (True, True, 4)
    """

    label: str
    unit: str
    meaning: str
    formula: str
    trust: str
    course: str
    layers: int
    layers_cross_entropy: int
    comparable: bool
    cancels: bool
    curvature: bool
    whole: bool

    SIGNED = (
        "signed",
        _Facts(
            label="signed",
            unit=_PER_SQUARED_WEIGHT,
            meaning="The same with the signs kept, our reading of the paper's definition.",
            formula="`sum(d_out · d_in) / sum(d_in)` over all synapses, with `P = mean z σ' δ`",
            trust="Rarely: positive and negative interactions nearly cancel in the denominator, so it jumps and "
            "changes sign. Points with a conditioning below 0.05 are flagged.",
            course="It should vanish as training converges, but its size and sign are often accidental before.",
            layers=3,
            layers_cross_entropy=4,
            cancels=True,
        ),
    )
    ABSOLUTE = (
        "absolute",
        _Facts(
            label="absolute",
            unit=_PER_SQUARED_WEIGHT,
            meaning="How strongly the synapses of the head still drive each other, all interaction strengths taken as "
            "positive.",
            formula="`sum(d_out · d_in) / sum(d_in)` over all synapses, with `P = mean |z| |σ'| |δ|`",
            trust="Stable from epoch to epoch, but **not comparable between candidates**: it scales with their "
            "activations and weights. Compare its course within one run.",
            course=f"{_FALLS} Its course can be compared between candidates, its level can't.",
            layers=3,
            layers_cross_entropy=3,
        ),
    )
    RELATIVE = (
        "relative",
        _Facts(
            label="relative",
            unit="",
            meaning="The absolute capacitance divided by that of an untrained classifier (which predicts every class "
            "alike): 1 means that the synapses still drive each other as much as before training, 0 that nothing is "
            "left to learn.",
            formula="`beta_eff(P) / beta_eff(P of the uniform prediction)`",
            trust="Comparable between candidates, because the scale of activations and weights cancels. It goes past "
            "the paper. Defined for cross-entropy and squared losses.",
            course=f"{_FALLS} Candidates can be compared by it.",
            layers=3,
            layers_cross_entropy=3,
            comparable=True,
        ),
    )
    HESSIAN = ("hessian", _hessian(whole=False, cross=False))
    HESSIAN_CROSS = ("hessian-cross", _hessian(whole=False, cross=True))
    MODEL_HESSIAN = ("model-hessian", _hessian(whole=True, cross=False))
    MODEL_HESSIAN_CROSS = ("model-hessian-cross", _hessian(whole=True, cross=True))

    def __new__(cls, name: str, facts: _Facts | None = None) -> Self:
        """A text that carries its facts."""
        member = str.__new__(cls, name)
        member._value_ = name
        if facts is not None:  # a call finds the member of that name, and brings none
            vars(member).update(facts._asdict())
        return member

    def __repr__(self) -> str:
        """As the text that it is, in messages and tables too."""
        return repr(self.value)

    @property
    def of_unit(self) -> Strength:
        """The same strength of the unit alone."""
        return Strength(self.value.removeprefix("model-"))


DENSE = (Strength.SIGNED, Strength.ABSOLUTE, Strength.RELATIVE)
"""From back-propagation through a dense head: what is recorded by default."""

CURVATURE = tuple(strength for strength in Strength if strength.curvature)
"""From the Hessian, of any architecture."""

SHOWN = (*reversed(DENSE), *CURVATURE)
"""In the order in which they are offered: the one that can be compared between candidates first."""
