"""Heads, losses and probes that the tests of ncore.network share, and the definition they are held against."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu_inplace": lambda: nn.ReLU(inplace=True),
    "leaky": lambda: nn.LeakyReLU(0.1),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}

LOSSES: dict[str, Callable[[int], Callable[[Tensor, Tensor], Tensor]]] = {
    "cross_entropy": lambda k: nn.CrossEntropyLoss(),
    "smoothed": lambda k: nn.CrossEntropyLoss(label_smoothing=0.1),
    "weighted": lambda k: nn.CrossEntropyLoss(weight=torch.linspace(0.5, 2.0, k, dtype=torch.float64)),
    "weighted_smoothed": lambda k: nn.CrossEntropyLoss(
        weight=torch.linspace(0.5, 2.0, k, dtype=torch.float64), label_smoothing=0.2
    ),
    "functional": lambda k: nn.functional.cross_entropy,
    "mse": lambda k: nn.MSELoss(),
    "bce": lambda k: nn.BCEWithLogitsLoss(),
    "own_mean": lambda k: lambda outputs, targets: ((outputs - targets) ** 4).sum(1).mean(),
}
TAKES_CLASSES = {"cross_entropy", "smoothed", "weighted", "weighted_smoothed", "functional"}


def head(widths: list[int], activation: str = "tanh", bias: bool = True, seed: int = 0) -> nn.Sequential:
    """A float64 head with an activation after every layer but the last."""
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        modules += [nn.Linear(fan_in, fan_out, bias=bias), ACTIVATIONS[activation]()]
    return nn.Sequential(*modules[:-1]).double()


def probe(samples: int, widths: list[int], loss: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Float64 inputs, and targets of the kind that the loss takes."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, widths[0], generator=generator, dtype=torch.float64)
    if loss in TAKES_CLASSES:
        return inputs, torch.randint(widths[-1], (samples,), generator=generator)
    return inputs, torch.rand(samples, widths[-1], generator=generator, dtype=torch.float64)


def naive_matrix(
    unit: nn.Sequential, inputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor], strength: str
) -> np.ndarray:
    """P entry by entry from its definition, with errors and slopes straight from autograd, sample by sample."""
    linears = [m for m in unit if isinstance(m, nn.Linear)]
    synapses = [
        (layer, i, j)
        for layer, linear in enumerate(linears)
        for j in range(linear.out_features)
        for i in range(linear.in_features)
    ]
    states: list[Tensor] = [inputs.detach()]
    pre: list[Tensor] = []
    value = inputs.detach()
    for module in unit:
        if isinstance(module, nn.Linear):
            value = module(value)
            pre.append(value)
        else:
            value = module(value.clone())
            if pre:
                states[len(pre) :] = [value]
        if len(states) <= len(pre):
            states.append(value)
    cost = loss(value, targets)
    errors = [e.detach() * len(inputs) for e in torch.autograd.grad(cost, pre, retain_graph=True)]
    slopes = [
        torch.autograd.grad(states[n + 1].sum(), pre[n], retain_graph=True)[0].detach() for n in range(len(pre) - 1)
    ]
    magnitude = abs if strength == "absolute" else (lambda x: x)
    matrix = np.zeros((len(synapses), len(synapses)))
    for row, (layer, i, j) in enumerate(synapses):
        for column, (next_layer, source, k) in enumerate(synapses):
            if next_layer == layer + 1 and source == j:
                terms = [
                    magnitude(float(states[layer][b, i].detach()))
                    * magnitude(float(slopes[layer][b, j]))
                    * magnitude(float(errors[layer + 1][b, k]))
                    for b in range(len(inputs))
                ]
                matrix[row, column] = sum(terms) / len(inputs)
    return matrix


def naive_beta(matrix: np.ndarray) -> float:
    """1^T P P 1 / 1^T P 1, literally."""
    ones = np.ones(len(matrix))
    return float(ones @ matrix @ matrix @ ones / (ones @ matrix @ ones))
