"""Interaction strength for any architecture: P is the Hessian of the loss by the synapses, and is never built.

Gradient flow dw/dt = -dC/dw couples two synapses by -d2C/dw_e dw_f, so P = H is how strongly each drives each other,
in any network that has second derivatives: convolution, attention and normalisation included. H is symmetric, so
d_in = d_out = H 1 and

    beta_eff = (1^T H H 1) / (1^T H 1) = |H 1|^2 / (1^T H 1),

where H 1 is one Hessian-vector product (Pearlmutter, Neural Computation 6, 1994). The P of ``backprop``, from
back-propagation, is the explicit part of the blocks of H between neighbouring layers; H has also its Gauss-Newton
part, the blocks between all other pairs of layers, and those on the diagonal, which can be left out. Unlike that P, it
does not vanish as training converges: at a minimum H has no negative eigenvalue, and beta_eff is then a weighted mean
of its eigenvalues, at most the largest. This goes past the paper.

With softmax and cross-entropy, the same step in all weights of a last dense layer shifts all logits alike and changes
nothing, so H maps it to 0: the rows of that layer sum to zero, one by one where its diagonal block is all they have,
together otherwise. They are in the numerator and not in the denominator, so look at the conditioning; without the
diagonal blocks at least three layers are needed, and the result for two is NaN with that reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ncore.errors import InputError, UnsupportedError
from ncore.network.backprop import exact_arithmetic
from ncore.network.capacitance import Capacitance, LayerSums, Undefined
from ncore.network.degrees import Batches, as_batches
from ncore.network.derivatives import Cost, diagonal_products, exact, hessian_product, twice_differentiable
from ncore.network.losses import Loss, SampleErrors
from ncore.network.strengths import Strength

__all__ = ["HESSIAN_STRENGTHS", "Choice", "HessianCapacitance", "HessianSums", "hessian_capacitance"]

HESSIAN_STRENGTHS = (Strength.HESSIAN, Strength.HESSIAN_CROSS)
"""All of H, and H without the blocks of each layer with itself."""

Choice = Iterable[str] | Callable[[str, Tensor], bool]


@dataclass(frozen=True)
class HessianCapacitance(Capacitance):
    """beta_eff of the Hessian.

    What differs from :class:`Capacitance`:

    Attributes:
        conditioning: |sum of H 1| / sum of |H 1|, in [0, 1]. Entries that cancel within a row of H are not seen, so
            this is an upper bound of |1^T H 1| / sum of |H_ef|, which would need all of H.
        symmetry: 1, as H is symmetric; ``value == mean_degree + heterogeneity`` with the variance of H 1 over its mean.
        names: Of the modules whose weights are layers 1..L.
    """

    names: tuple[str, ...] = ()


class HessianSums:
    """H 1 of a model, summed over the chunks of a probe.

    Args:
        model: Any module that maps a batch of inputs to outputs, sample by sample; taken in evaluation mode.
        loss: A torch loss that is a mean or a sum over samples.
        parameters: Which are the synapses: names, or a function of name and tensor; by default all with two or more
            dimensions, frozen or not, so that biases and the scales of normalisation are left out.
        strengths: Of ``HESSIAN_STRENGTHS``. "hessian-cross" costs a Hessian-vector product a layer more, a layer
            being a module that holds synapses itself.

    Raises:
        InputError: An unknown name.
        UnsupportedError: There is no synapse.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        parameters: Choice | None = None,
        strengths: Sequence[str] = (Strength.HESSIAN,),
    ) -> None:
        unknown = [strength for strength in strengths if strength not in HESSIAN_STRENGTHS]
        if unknown:
            raise InputError(f"The strength is {unknown[0]!r}, but it must be one of {', '.join(HESSIAN_STRENGTHS)}.")
        self.model, self.strengths = model, tuple(strengths)
        self.weight, self.samples = 0.0, 0
        self._epsilon, self._gross = 0.0, 0.0
        self._loss = SampleErrors(loss)
        self._layers = _layers(_chosen(model, parameters))
        self._whole: dict[str, Tensor] = {}
        self._diagonal: dict[str, Tensor] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the modules that are layers 1..L."""
        return tuple(self._layers)

    def add(self, inputs: Tensor, targets: Tensor) -> None:
        """Add one chunk of the probe; where this fails, nothing is added."""
        if len(inputs) == 0 or len(targets) != len(inputs):
            raise InputError(f"There are {len(targets)} targets for {len(inputs)} inputs, but one a sample is needed.")
        tensors = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        groups = list(self._layers.values())
        first = tensors[groups[0][0]]
        with exact_arithmetic(first.device), twice_differentiable(self.model):
            state = {name: exact(tensor) for name, tensor in tensors.items()}
            kind = state[groups[0][0]].dtype if inputs.is_floating_point() else inputs.dtype
            batch = exact(inputs).to(first.device, kind), exact(targets).to(first.device)
            cost = Cost(self.model, self._loss, state, *batch)
            weights = {name: state[name] for names in groups for name in names}
            ones = {name: torch.ones_like(tensor) for name, tensor in weights.items()}
            gradient, product = hessian_product(cost, weights, ones)
            diagonal = diagonal_products(cost, groups) if Strength.HESSIAN_CROSS in self.strengths else {}
        # All or nothing, so that a chunk that memory was too small for can be added in parts.
        _add(self._whole, product)
        _add(self._diagonal, diagonal)
        self._gross += sum(float(part.abs().sum()) for part in gradient.values())
        self.weight += cost.weight
        self._epsilon = max(torch.finfo(tensor.dtype).eps for tensor in weights.values())
        self.samples += len(inputs)

    def row_sums(self, strength: str = Strength.HESSIAN) -> dict[str, Tensor]:
        """H 1 by parameter, float64 in the parameter's shape, for the loss as a mean over samples."""
        if self.samples == 0:
            raise InputError("The probe holds no batch, but at least one sample is needed.")
        if strength not in self.strengths and strength != Strength.HESSIAN:
            raise InputError(f"The strength {strength!r} was not asked for: name it in `strengths`.")
        weight = self.weight if self.weight > 0 else float("nan")
        if strength == Strength.HESSIAN:
            return {name: total / weight for name, total in self._whole.items()}
        return {name: (total - self._diagonal[name]) / weight for name, total in self._whole.items()}

    def results(self) -> dict[str, HessianCapacitance]:
        """beta_eff by strength."""
        return {strength: self._result(strength) for strength in self.strengths}

    def _result(self, strength: str) -> HessianCapacitance:
        rows = self.row_sums(strength)
        sums = []
        for names in self._layers.values():
            d = torch.cat([rows[name].reshape(-1) for name in names])
            total, square = float(d.sum()), float(d.square().sum())
            sums.append(LayerSums(len(d), total, total, square, square, square, float(d.abs().sum())))
        found = HessianCapacitance.from_sums(sums, strength, self.samples)
        reason = None if found.reason is None else _CURVATURE[found.reason]
        parts = [*self._whole.values(), *(self._diagonal.values() if strength == Strength.HESSIAN_CROSS else ())]
        gross = self._gross + sum(float(part.abs().sum()) for part in parts)
        rounding = _ROUNDED * self._epsilon * gross / self.weight
        if reason is not Undefined.CURVATURE_NOT_FINITE and abs(found.denominator) <= rounding:
            nothing = sum(x.absolute for x in sums) <= rounding
            reason = Undefined.CURVATURE_ALL_ZERO if nothing else Undefined.CURVATURE_CANCELLED
        if reason is not None:
            layers = tuple(replace(part, value=math.nan) for part in found.layers)
            return replace(found, value=math.nan, names=self.names, layers=layers, reason=reason)
        return replace(found, names=self.names)


def hessian_capacitance(
    model: nn.Module,
    inputs: Tensor | Batches,
    targets: Tensor | None = None,
    *,
    loss: Loss,
    parameters: Choice | None = None,
    diagonal: bool = True,
    chunk_size: int | None = None,
) -> HessianCapacitance:
    """Neural capacitance of any network, beta_eff = |H 1|^2 / (1^T H 1), by Hessian-vector products.

    Args:
        model: Any module that maps a batch of inputs to outputs, sample by sample; taken in evaluation mode, in
            float32 or better.
        inputs: (N, ...) tensor or, without ``targets``, an iterable of (inputs, targets) batches.
        targets: N targets, as the loss takes them.
        loss: A torch loss whose value is a mean or a sum over samples; a sum is read as N times the mean.
        parameters: The synapses: names, or a function of name and tensor; by default all parameters with two or
            more dimensions, frozen or not.
        diagonal: False leaves out the interactions of a layer with itself, for one Hessian-vector product a layer.
        chunk_size: Cut the tensors into chunks of this many samples, to bound memory; the result stays.

    Returns:
        A :class:`HessianCapacitance`; ``float()`` of it is beta_eff, in units of cost per squared weight.

    Raises:
        UnsupportedError: No synapse, an operation without second derivatives, or a loss that is not covered.
        InputError: Shapes, types or names that do not fit.

    Example:
        One linear neuron with a squared error has H = 2 mean(x x^T):

        >>> import torch, ncore
        >>> neuron = torch.nn.Linear(2, 1, bias=False)
        >>> x = torch.tensor([[1.0, 2.0]])
        >>> found = ncore.hessian_capacitance(neuron, x, torch.zeros(1, 1), loss=torch.nn.MSELoss())
        >>> float(found), found.conditioning  # H = [[2, 4], [4, 8]], H 1 = [6, 12]
        (10.0, 1.0)
    """
    strength = HESSIAN_STRENGTHS[0] if diagonal else HESSIAN_STRENGTHS[1]
    sums = HessianSums(model, loss, parameters, (strength,))
    for x, y in as_batches(inputs, targets, chunk_size):
        sums.add(x, y)
    return sums.results()[strength]


_ROUNDED = 100
"""Times the machine epsilon and the sum of |H 1|, and of the gradient whose change H 1 is: below that, a sum is nothing
but rounding."""

_CURVATURE = {
    Undefined.NOT_FINITE.value: Undefined.CURVATURE_NOT_FINITE,
    Undefined.ALL_ZERO.value: Undefined.CURVATURE_ALL_ZERO,
    Undefined.CANCELLED.value: Undefined.CURVATURE_CANCELLED,
}
"""What the reasons of a quotient are called where it is made of the Hessian."""


def _add(totals: dict[str, Tensor], parts: dict[str, Tensor]) -> None:
    """Add in float64 (on the CPU where the device has none)."""
    for name, part in parts.items():
        part = (part.cpu() if part.device.type == "mps" else part).double()
        totals[name] = totals[name] + part if name in totals else part


def _chosen(model: nn.Module, parameters: Choice | None) -> list[str]:
    known = dict(model.named_parameters())
    if parameters is None:
        names = [name for name, tensor in known.items() if tensor.ndim >= 2]
    elif callable(parameters):
        names = [name for name, tensor in known.items() if parameters(name, tensor)]
    else:
        asked = [parameters] if isinstance(parameters, str) else list(parameters)
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise InputError(f"The model has no parameter {unknown[0]!r}: they are {', '.join(known)}.")
        names = [name for name in known if name in asked]
    if not any(known[name].numel() for name in names):
        raise UnsupportedError(
            f"No synapse was found in the model {type(model).__name__}, but at least one weight is needed: "
            "parameters with two or more dimensions, or those that `parameters` names."
        )
    return names


def _layers(names: Sequence[str]) -> dict[str, list[str]]:
    """Parameters by the module that holds them, in the order of the model."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return layers
