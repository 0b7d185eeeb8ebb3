"""The neural capacitance probe: the dense head that every candidate gets in place of its output layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from ncore.errors import InputError

__all__ = ["DEFAULT_WIDTHS", "NCPUnit"]

DEFAULT_WIDTHS = (256, 128, 64)
"""Hidden widths of the default unit of four dense layers; the paper's could not be verified, these are ours."""

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
}


class NCPUnit(nn.Sequential):
    """A multi-layer dense head with a reproducible initialisation (Algorithm 1 of Jiang et al. 2024).

    The same widths and seed for every candidate, so that only what feeds the unit differs.

    Args:
        features: Width of what the backbone gives.
        classes: Outputs.
        widths: Hidden widths; three of them make the default four dense layers.
        activation: Name of an elementwise activation, e.g. "relu".
        dropout: Probability, 0 for none.
        bias: Whether the layers have biases.
        seed: Of the initialisation (torch's default for Linear), which leaves the global generator alone.

    Example:
        >>> NCPUnit(512, classes=10)
        NCPUnit(512-256-128-64-10, relu)
    """

    def __init__(
        self,
        features: int,
        classes: int,
        widths: Sequence[int] = DEFAULT_WIDTHS,
        activation: str = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        seed: int = 0,
    ) -> None:
        sizes = (features, *widths, classes)
        if any(size < 1 for size in sizes):
            raise InputError(f"The widths of the unit are {sizes}, but each must be at least 1.")
        if activation not in _ACTIVATIONS:
            raise InputError(f"The activation is {activation!r}, but it must be one of {', '.join(_ACTIVATIONS)}.")
        modules: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for fan_in, fan_out in itertools.pairwise(sizes):
                modules += [nn.Linear(fan_in, fan_out, bias=bias), _ACTIVATIONS[activation]()]
                if dropout:
                    modules.append(nn.Dropout(dropout))
        end = -2 if dropout else -1  # the outputs are logits
        super().__init__(*modules[:end])
        self.sizes = sizes
        self.activation = activation

    def __repr__(self) -> str:
        return f"NCPUnit({'-'.join(map(str, self.sizes))}, {self.activation})"
