"""What one number says, and what it is made of: beta_eff with its layers, moments and conditioning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import pandas as pd

from ncore.network.strengths import Strength

__all__ = ["COLUMNS", "ILL_CONDITIONED_BELOW", "Capacitance", "LayerCapacitance", "LayerSums", "Undefined", "relative"]

ILL_CONDITIONED_BELOW = 0.05
"""Below this share of the absolute denominator, a signed beta_eff is a quotient of cancellations."""

COLUMNS = (
    "strength",
    "layer",
    "beta_eff",
    "numerator",
    "denominator",
    "conditioning",
    "mean_degree",
    "symmetry",
    "heterogeneity",
    "in_degree_std",
    "out_degree_std",
    "reason",
)


class Undefined(StrEnum):
    """Why there is no beta_eff; a member is the sentence that says so."""

    NOT_FINITE = "activations, slopes or errors are not finite"
    ALL_ZERO = "every interaction strength is zero (dead units, or errors that are exactly zero)"
    CANCELLED = "the interaction strengths cancel to a denominator of zero"
    CURVATURE_NOT_FINITE = "the second derivatives of the loss are not finite"
    CURVATURE_ALL_ZERO = "every row of the Hessian sums to zero"
    CURVATURE_CANCELLED = "the row sums of the Hessian cancel to a denominator of zero"


@dataclass(frozen=True)
class LayerSums:
    """Sums over the synapses of one layer; the squares are NaN where they were not asked for.

    ``absolute`` is the sum of |interaction strengths| that drive the layer, sample by sample.
    """

    synapses: int
    in_degree: float
    out_degree: float
    product: float
    in_square: float
    out_square: float
    absolute: float

    def scaled(self, by: float) -> LayerSums:
        """The same sums for a line graph whose every interaction strength is multiplied by ``by``."""
        return LayerSums(
            self.synapses,
            self.in_degree * by,
            self.out_degree * by,
            self.product * by**2,
            self.in_square * by**2,
            self.out_square * by**2,
            self.absolute * abs(by),
        )


@dataclass(frozen=True)
class LayerCapacitance:
    """The part of beta_eff that passes through the synapses of one layer; the parts add up to beta_eff.

    ``numerator`` is sum_e d_out(e) d_in(e) over its synapses, ``denominator`` sum_e d_in(e).
    """

    layer: int
    synapses: int
    value: float
    numerator: float
    denominator: float


@dataclass(frozen=True)
class Capacitance:
    """beta_eff = (1^T P P 1) / (1^T P 1) of a line graph, after Gao, Barzel and Barabasi, Nature 530 (2016).

    Attributes:
        value: beta_eff; NaN where it is 0/0 or not finite, and ``reason`` says why. Units of an interaction
            strength (cost per squared weight) for "signed" and "absolute", none for "relative".
        strength: "signed", "absolute" or "relative".
        numerator, denominator: 1^T P P 1 and 1^T P 1.
        conditioning: |denominator| over the sum of absolute interaction strengths, in [0, 1]; 1 unless signed.
        mean_degree: <s>, the average weighted degree of a synapse.
        symmetry: S, the correlation of in- and out-degree over synapses, in [-1, 1]; NaN unless asked for.
        heterogeneity: H = sigma_in sigma_out / <s>; ``value == mean_degree + symmetry * heterogeneity``.
        in_degree_std, out_degree_std: Standard deviations of the degrees over all synapses.
        layers: The decomposition by layer, 1..L.
        samples: Probe samples that were averaged over.
        reason: Why ``value`` is NaN, one of :class:`Undefined` (behind "of the untrained classifier, " where it is that
            one which has none), else None.
    """

    value: float
    strength: str
    numerator: float
    denominator: float
    conditioning: float
    mean_degree: float
    symmetry: float
    heterogeneity: float
    in_degree_std: float
    out_degree_std: float
    layers: tuple[LayerCapacitance, ...]
    samples: int
    reason: str | None = None

    def __float__(self) -> float:
        return self.value

    @property
    def coupling(self) -> float:
        """S H = beta_eff - <s>, known also where S and H were not computed one by one."""
        return self.value - self.mean_degree

    @property
    def ill_conditioned(self) -> bool:
        """True where cancellation leaves under 5% of the denominator: read such a value with care."""
        return not self.conditioning >= ILL_CONDITIONED_BELOW

    def rows(self) -> list[dict[str, Any]]:
        """``COLUMNS`` as a store keeps them: the whole graph (layer 0), then each layer's part."""
        whole = {name: getattr(self, name, None) for name in COLUMNS} | {"layer": 0, "beta_eff": self.value}
        nothing = dict.fromkeys(COLUMNS, math.nan) | {"strength": self.strength, "reason": None}
        parts = [
            nothing
            | {"layer": x.layer, "beta_eff": x.value, "numerator": x.numerator, "denominator": x.denominator}
            | {"mean_degree": x.denominator / x.synapses}
            for x in self.layers
        ]
        return [whole, *parts]

    def to_frame(self) -> pd.DataFrame:
        """``rows()`` as a table."""
        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    @classmethod
    def from_sums(cls, sums: Sequence[LayerSums], strength: str, samples: int) -> Self:
        """Put the sums over layers 1..L together."""
        synapses = sum(x.synapses for x in sums)
        numerator = math.fsum(x.product for x in sums) if _finite(sums) else math.nan
        denominator = math.fsum(x.in_degree for x in sums) if _finite(sums) else math.nan
        absolute = math.fsum(x.absolute for x in sums) if _finite(sums) else math.nan
        value, reason = _quotient(numerator, denominator, absolute)
        mean = denominator / synapses
        in_std = _std(math.fsum(x.in_square for x in sums), mean, synapses)
        out_std = _std(math.fsum(x.out_square for x in sums), mean, synapses)
        spread = in_std * out_std
        return cls(
            value=value,
            strength=strength,
            numerator=numerator,
            denominator=denominator,
            conditioning=min(abs(denominator) / absolute, 1.0) if absolute > 0 else math.nan,
            mean_degree=mean,
            symmetry=(numerator / synapses - mean**2) / spread if spread > 0 else math.nan,
            heterogeneity=spread / mean if mean else math.nan,
            in_degree_std=in_std,
            out_degree_std=out_std,
            layers=tuple(
                LayerCapacitance(
                    layer,
                    x.synapses,
                    x.product / denominator if reason is None else math.nan,
                    x.product,
                    x.in_degree,
                )
                for layer, x in enumerate(sums, start=1)
            ),
            samples=samples,
            reason=reason,
        )


def relative(absolute: Sequence[LayerSums], reference: Sequence[LayerSums], samples: int) -> tuple[Capacitance, float]:
    """The absolute beta_eff in units of that of an untrained classifier, and the scale 1 / beta_reference.

    Multiplying P by a constant multiplies beta_eff by it, so this is the beta_eff of a rescaled line graph.
    """
    base = Capacitance.from_sums(reference, Strength.ABSOLUTE, samples)
    scale = 1 / base.value if base.value > 0 else math.nan
    capacitance = Capacitance.from_sums([x.scaled(scale) for x in absolute], Strength.RELATIVE, samples)
    if base.reason is not None:
        capacitance = replace(capacitance, reason=f"of the untrained classifier, {base.reason}")
    elif capacitance.reason is not None:
        capacitance = replace(capacitance, reason=Capacitance.from_sums(absolute, Strength.ABSOLUTE, samples).reason)
    return capacitance, scale


def _finite(sums: Sequence[LayerSums]) -> bool:
    return all(math.isfinite(v) for x in sums for v in (x.in_degree, x.out_degree, x.product, x.absolute))


def _quotient(numerator: float, denominator: float, absolute: float) -> tuple[float, Undefined | None]:
    if not math.isfinite(denominator) or not math.isfinite(numerator):
        return math.nan, Undefined.NOT_FINITE
    if absolute == 0:
        return math.nan, Undefined.ALL_ZERO
    if denominator == 0:
        return math.nan, Undefined.CANCELLED
    return numerator / denominator, None


def _std(square: float, mean: float, count: int) -> float:
    return math.sqrt(max(square / count - mean**2, 0.0)) if not math.isnan(square) else math.nan
