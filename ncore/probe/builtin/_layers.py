"""Parts that the built-in networks are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

__all__ = ["ACTIVATIONS", "Attention", "Concatenate", "GlobalMean", "Residual", "Style", "initialise"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


@dataclass(frozen=True)
class Style:
    """Normalisation and activation of all layers of one network."""

    norm: str
    activation: str

    def act(self) -> nn.Module:
        """A fresh activation."""
        return ACTIVATIONS[self.activation]()

    def conv(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
        """Convolution and normalisation, without activation."""
        bare = self.norm == "none"
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bare)
        return nn.Sequential(conv) if bare else nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def linear(self, inputs: int, outputs: int) -> nn.Sequential:
        """Dense layer, normalisation, activation."""
        norm = [] if self.norm == "none" else [nn.BatchNorm1d(outputs)]
        return nn.Sequential(nn.Linear(inputs, outputs), *norm, self.act())


class GlobalMean(nn.Module):
    """Mean over the feature map: (N, F, H, W) to (N, F)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Average the two last axes."""
        return maps.mean((2, 3))


class Residual(nn.Module):
    """x + body(x), with a projection of x where its shape changes."""

    def __init__(self, body: nn.Module, projection: nn.Module | None = None, after: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.projection = projection or nn.Identity()
        self.after = after or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as the class."""
        return self.after(self.projection(x) + self.body(x))


class Concatenate(nn.Module):
    """x and body(x) side by side, along the channels."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C + growth, H, W)."""
        return torch.cat([x, self.body(x)], dim=1)


class Attention(nn.Module):
    """Multi-head self-attention over tokens (N, T, F)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (N, T, F) to tokens (N, T, F)."""
        batch, count, width = tokens.shape
        split = self.project_in(tokens).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.project_out(mixed.transpose(1, 2).reshape(batch, count, width))


def initialise(module: nn.Module) -> None:
    """Convolutions after He et al. (2015), dense layers after Glorot and Bengio (2010), biases zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
