"""One back-propagation through a dense head that keeps what the interaction strengths are made of.

Training code throws activations, slopes and errors away once it has the gradient; the line graph is made of just
these. With layers a^l = W^l z^(l-1) + b^l, z^l = sigma(a^l), a cost C and its errors delta^l = dC/da^l for one sample,
gradient flow dW/dt = -dC/dW (Jiang et al., Nature Communications 15, 2024) moves the synapse i -> j of layer l < L at

    dw_ij/dt = - z_i^(l-1) sigma'(a_j^l) sum_k w_jk^(l+1) delta_k^(l+1),

linearly in the weights of the synapses j -> k that leave its target. So the interaction strength is, as the mean over
the samples b of a probe,

    P[(i -> j) of l, (j -> k) of l+1] = mean_b z_i^(l-1) sigma'(a_j^l) delta_k^(l+1),

and zero elsewhere. The published text gives the definition of beta_eff; these entries are derived here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ncore.errors import InputError, UnsupportedError
from ncore.network.chain import DenseChain
from ncore.network.losses import SampleErrors
from ncore.network.strengths import DENSE, Strength

__all__ = ["BackPropagation", "Pass", "check_depth", "exact_arithmetic", "mean_target"]


@dataclass(frozen=True)
class Pass:
    """What one chunk of N probe samples leaves at each pair of layers (l, l+1), l = 1..L-1.

    ``inputs[p]`` is z^p (N, width p) for p = 0..L-1. For each pair p = 0..L-2, ``slopes[p]`` is sigma'(a^(p+1))
    and ``errors[p]`` is delta^(p+2): the interactions of pair p are made of inputs[p], slopes[p] and errors[p].
    Errors are of the *summed* loss: divide by ``weight``. ``reference`` holds the errors of an untrained
    classifier in place of ``errors``, where they were asked for.
    """

    inputs: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...]
    errors: tuple[Tensor, ...]
    weight: float
    reference: tuple[Tensor, ...] | None = None

    @property
    def samples(self) -> int:
        """How many samples it is of."""
        return len(self.inputs[0])


class BackPropagation:
    """Runs chunks of a probe through a head, in float32 or better, whatever surrounds it.

    Args:
        chain: The head, from :func:`ncore.network.chain.dense_chain`.
        loss: A torch loss that is a mean or a sum over samples.
        reference: Also propagate the error of an untrained classifier (uniform prediction for cross-entropy,
            the mean target for a squared loss), which ``strength="relative"`` divides by.
        mean_target: (K,) mean of all probe targets, for the reference of a squared loss.
    """

    def __init__(
        self,
        chain: DenseChain,
        loss: SampleErrors,
        reference: bool = False,
        mean_target: Tensor | None = None,
    ) -> None:
        self.chain = chain
        self.loss = loss
        self.reference = reference
        self.mean_target = mean_target
        dtype = chain.layers[0].linear.weight.dtype
        self.dtype = dtype if dtype in (torch.float32, torch.float64) else torch.float32

    def __call__(self, inputs: Tensor, targets: Tensor) -> Pass:
        """One chunk of the probe, forwards and back; see the class for shapes and errors."""
        self._check(inputs, targets)
        device = self.chain.layers[0].linear.weight.device
        with exact_arithmetic(device):
            return self._run(_plain(inputs).to(device, self.dtype), _plain(targets).to(device))

    def _run(self, inputs: Tensor, targets: Tensor) -> Pass:
        z = inputs
        for activation in self.chain.leading:
            z = activation(z.clone()).detach()  # a clone, as the activation may work inplace
        states, slopes = [z], []
        for layer in self.chain.layers:
            with torch.no_grad():
                bias = layer.linear.bias
                a = nn.functional.linear(
                    z, layer.linear.weight.to(self.dtype), None if bias is None else bias.to(self.dtype)
                )
            z, slope = _activate(a, layer.activations)
            states.append(z)
            slopes.append(slope)
        outputs, output_slope = states.pop(), slopes.pop()
        with torch.no_grad():
            output_error, weight = self._output_error(outputs, targets)
            errors = self._propagate(output_error * output_slope, slopes)
            reference = None
            if self.reference:
                flat = (
                    torch.zeros_like(outputs)
                    if self.mean_target is None
                    else self.mean_target.to(outputs).expand_as(outputs)
                )
                reference = self._propagate(self._output_error(flat, targets)[0] * output_slope, slopes)
        return Pass(tuple(states), tuple(slopes), errors, weight, reference)

    def _output_error(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        with torch.enable_grad():
            return self.loss(outputs, targets)

    def _propagate(self, error: Tensor, slopes: list[Tensor]) -> tuple[Tensor, ...]:
        """delta^L..delta^2, each delta^l = (delta^(l+1) W^(l+1)) sigma'(a^l), first layer first."""
        errors = [error]
        for layer, slope in zip(self.chain.layers[:1:-1], slopes[:0:-1], strict=True):
            errors.append(errors[-1] @ layer.linear.weight.to(self.dtype) * slope)
        return tuple(reversed(errors))

    def first_error(self, chunk: Pass) -> Tensor:
        """delta^1 (N, width 1), which no interaction needs but the gradient of the first layer does."""
        with torch.no_grad():
            return chunk.errors[0] @ self.chain.layers[1].linear.weight.to(self.dtype) * chunk.slopes[0]

    def _check(self, inputs: Tensor, targets: Tensor) -> None:
        width = self.chain.widths[0]
        if inputs.ndim != 2 or inputs.shape[1] != width or len(inputs) == 0:
            raise InputError(
                f"The probe inputs have shape {tuple(inputs.shape)}, but the unit takes (N, {width}) features with "
                "N at least 1: pass what the unit's first Linear sees."
            )
        if not inputs.is_floating_point():
            raise InputError(f"The probe inputs are {inputs.dtype}, but floating-point features are needed.")
        if len(targets) != len(inputs):
            raise InputError(
                f"There are {len(targets)} targets for {len(inputs)} probe inputs: one a sample is needed."
            )


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Mixed precision and inference mode of the surrounding training are its own affair."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device_type=device.type, enabled=False),
    ):
        yield


def check_depth(chain: DenseChain, loss: SampleErrors, strength: str) -> None:
    """Refuse a strength that is not defined, or is zero by construction, on this head and loss."""
    if strength not in DENSE:
        raise InputError(f"The strength is {strength!r}, but it must be one of {', '.join(DENSE)}.")
    last = chain.layers[-1].activations
    plain_output = all(type(m) is nn.Identity for m in last)
    kind = Strength(strength)
    needed = kind.layers_cross_entropy if loss.is_cross_entropy and plain_output else kind.layers
    if len(chain.layers) < needed:
        why = "the errors of a softmax sum to zero, so " if needed > kind.layers else ""
        raise UnsupportedError(
            f"The unit has {len(chain.layers)} dense layers, but {why}strength {strength!r} needs at least "
            f"{needed}: use a deeper unit, such as ncore.NCPUnit with its default of four."
        )
    if strength == Strength.RELATIVE:
        if not (loss.is_cross_entropy or loss.is_squared):
            raise UnsupportedError(
                f"The loss is {loss.name}, but strength 'relative' compares with an untrained classifier and knows "
                "its error for cross-entropy and squared losses only: use strength 'absolute'."
            )
        if not plain_output:
            raise UnsupportedError(
                f"The last dense layer is followed by {type(last[0]).__name__}, but strength 'relative' needs a "
                "linear output: use strength 'absolute', or move the activation into the loss."
            )


def mean_target(batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """(K,) mean of the targets of all batches, accumulated in float64."""
    total, samples = None, 0
    for _, targets in batches:
        part = targets.detach().cpu().double().sum(0)
        total = part if total is None else total + part
        samples += len(targets)
    if total is None:
        raise InputError("The probe holds no batch, but at least one sample is needed.")
    return total / samples


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.clone() if tensor.is_inference() else tensor


def _activate(a: Tensor, activations: tuple[nn.Module, ...]) -> tuple[Tensor, Tensor]:
    """Values and slopes of elementwise activations at ``a``; the slope is autograd's, kinks included."""
    if not activations:
        return a, torch.ones_like(a)
    if len(activations) == 1 and type(activations[0]) is nn.ReLU:  # the usual case, at a third of the time
        value = a.detach().clamp(min=0)
        return value, (value > 0).to(value.dtype)
    leaf = a.detach().requires_grad_()
    value = leaf.clone()  # an inplace activation may overwrite this one
    for activation in activations:
        value = activation(value)
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope
