"""The loss of a small network as a function of one vector of all its weights: what moves synapses, F(w) = -dC/dw."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import functional_call

from ncore.errors import InputError
from ncore.network.derivatives import twice_differentiable
from ncore.network.dynamics._matrix import FloatArray
from ncore.network.losses import Loss, SampleErrors

__all__ = ["Landscape"]

_ROWS = 64  # rows of a dense Hessian at once


class Landscape:
    """C(w), its gradient and its Hessian on a fixed batch, in float64 and evaluation mode.

    Args:
        model: Any module, of which a copy is made; its weights are where ``start`` is.
        inputs, targets: The whole training set, as one batch; N samples.
        loss: A torch loss that is a mean or a sum over samples; a sum is read as N times the mean.
        weight_decay: lambda, with f(w) = -lambda w for every synapse.
        decay_biases: Decay parameters of fewer than two dimensions too, as torch's optimizers do by default.

    Attributes:
        start: (n,) all parameters, in the order of ``model.parameters()``, each in row-major order.
        synapses: (n,) bool, the parameters with two or more dimensions. Those of a unit are in the order in which a
            line graph and a store number them.

    Example:
        >>> neuron = nn.Linear(1, 1, bias=False)
        >>> one = torch.ones(4, 1)
        >>> parabola = Landscape(neuron, one, 3 * one, loss=nn.MSELoss())
        >>> parabola.cost([1.0]), parabola.rate([1.0])  # C = (w - 3)^2
        (4.0, array([4.]))
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        *,
        loss: Loss,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
    ) -> None:
        if len(inputs) == 0 or len(inputs) != len(targets):
            raise InputError(f"There are {len(targets)} targets for {len(inputs)} inputs, but one a sample is needed.")
        if not 0 <= weight_decay < math.inf:
            raise InputError(f"The weight decay is {weight_decay}, but it must be finite and at least 0.")
        self.model = copy.deepcopy(model).double().eval()
        self.inputs = inputs.double() if inputs.is_floating_point() else inputs
        self.targets, self.loss, self.weight_decay = targets, SampleErrors(loss), weight_decay
        self._shapes = {name: parameter.shape for name, parameter in self.model.named_parameters()}
        flat = [parameter.detach().reshape(-1) for parameter in self.model.parameters()]
        if not flat:
            raise InputError(f"The model {type(model).__name__} has no parameters, but at least one is needed.")
        self.start: FloatArray = torch.cat(flat).numpy()
        self.synapses = np.concatenate([np.full(math.prod(s), len(s) >= 2) for s in self._shapes.values()])
        self._decay = weight_decay * (np.ones(self.size) if decay_biases else self.synapses.astype(np.float64))

    @property
    def size(self) -> int:
        """n, all parameters."""
        return len(self.start)

    @property
    def samples(self) -> int:
        """N."""
        return len(self.inputs)

    @property
    def layers(self) -> list[slice]:
        """Where each weight's synapses are, among the synapses only."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values() if len(shape) >= 2]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def cost(self, w: ArrayLike) -> float:
        """C at w, weight decay not included."""
        with torch.no_grad():
            return float(self._value(self._tensor(w)))

    def rate(self, w: ArrayLike, batch: ArrayLike | None = None) -> FloatArray:
        """F(w) = -dC/dw - lambda w, (n,); of the samples ``batch`` only, where they are given."""
        leaf = self._tensor(w).requires_grad_()
        (gradient,) = torch.autograd.grad(self._value(leaf, batch), leaf)
        return -gradient.numpy() - self._decay * np.asarray(w)

    def rate_change(self, w: ArrayLike, along: ArrayLike) -> FloatArray:
        """J v = -H v - lambda v: how F changes along v, (n,)."""
        leaf, v = self._tensor(w).requires_grad_(), self._tensor(along)
        with twice_differentiable(self.model):
            (gradient,) = torch.autograd.grad(self._value(leaf), leaf, create_graph=True)
            product = torch.autograd.grad(gradient, leaf, v)[0] if gradient.requires_grad else torch.zeros_like(v)
        return -product.numpy() - self._decay * v.numpy()

    def jacobian(self, w: ArrayLike) -> FloatArray:
        """J = -H - lambda, dense, (n, n)."""
        leaf = self._tensor(w).requires_grad_()
        with twice_differentiable(self.model):
            (gradient,) = torch.autograd.grad(self._value(leaf), leaf, create_graph=True)
            if not gradient.requires_grad:
                return -np.diag(self._decay)
            rows = [
                torch.autograd.grad(gradient, leaf, part, retain_graph=True, is_grads_batched=True)[0]
                for part in torch.eye(self.size, dtype=torch.float64).split(_ROWS)
            ]
        return -torch.cat(rows).numpy() - np.diag(self._decay)

    def at(self, w: ArrayLike) -> nn.Module:
        """The model with these weights; it is this landscape's own, and the next call changes it."""
        self.model.load_state_dict(self._parts(self._tensor(w)), strict=False)
        return self.model

    def _value(self, flat: Tensor, batch: ArrayLike | None = None) -> Tensor:
        x, y = self.inputs, self.targets
        if batch is not None:
            picked = torch.as_tensor(np.asarray(batch))
            x, y = x[picked], y[picked]
        value, weight = self.loss.summed(functional_call(self.model, self._parts(flat), (x,)), y)
        return value / weight

    def _parts(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split([math.prod(shape) for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _tensor(self, w: ArrayLike) -> Tensor:
        values = np.array(w, dtype=np.float64)
        if values.shape != self.start.shape:
            raise InputError(f"The weights have the shape {values.shape}, but the model has {self.size} parameters.")
        return torch.from_numpy(values)
