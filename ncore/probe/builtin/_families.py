"""The seven families of built-in networks, each a function of the input's shape and a few options."""

from __future__ import annotations

import torch
from torch import nn

from ncore.probe.builtin._layers import Attention, Concatenate, GlobalMean, Residual, Style
from ncore.probe.images import ImageShape
from ncore.probe.modalities.base import TableShape

__all__ = ["Transformer", "dense", "densenet", "lenet", "mobilenet", "resnet", "strides", "vgg", "vit"]


def strides(size: int) -> tuple[int, list[int]]:
    """Strides of the first convolution and at the entry of three stages: halve, but not below 4 pixels a side.

    Example:
        >>> strides(32), strides(8)
        ((2, [1, 2, 2]), (1, [1, 2, 1]))
    """
    stem = 2 if size >= 16 else 1  # four times less work, for little accuracy
    size, stages = size // stem, [1]
    for _ in range(2):
        stages.append(2 if size >= 8 else 1)
        size //= stages[-1]
    return stem, stages


def dense(
    image: ImageShape | TableShape, width: int = 256, depth: int = 3, norm: str = "none", activation: str = "relu"
) -> nn.Module:
    """``depth`` dense layers of ``width`` neurons on the pixels, or on the numbers of a row."""
    style = Style(norm, activation)
    inputs = image.columns if isinstance(image, TableShape) else image.channels * image.size**2
    layers = [style.linear(inputs if level == 0 else width, width) for level in range(depth)]
    return nn.Sequential(nn.Flatten(), *layers)


def lenet(image: ImageShape, width: int = 6, norm: str = "none", activation: str = "relu") -> nn.Module:
    """Two 5x5 convolutions and two dense layers, after LeCun et al. (1998): 6, 16, 120 and 84 units at width 6."""
    style = Style(norm, activation)
    maps, cells = round(width * 16 / 6), image.size // 2
    pool = 2 if cells >= 8 else 1
    features = nn.Sequential(
        style.conv(image.channels, width, 5), style.act(), nn.MaxPool2d(2),
        style.conv(width, maps, 5), style.act(), nn.MaxPool2d(pool),
    )  # fmt: skip
    flat = maps * (cells // pool) ** 2
    return nn.Sequential(features, nn.Flatten(), style.linear(flat, 20 * width), style.linear(20 * width, 14 * width))


def vgg(image: ImageShape, width: int = 32, depth: int = 2, norm: str = "batch", activation: str = "relu") -> nn.Module:
    """Three stages of ``depth`` 3x3 convolutions with pooling between, after Simonyan and Zisserman (2015)."""
    style, inputs = Style(norm, activation), image.channels
    layers: list[nn.Module] = []
    stride, stages = strides(image.size)
    for stage, pool in enumerate(stages):
        layers += [nn.MaxPool2d(pool)] if stage else []
        for _ in range(depth):
            layers += [style.conv(inputs, width << stage, 3, stride), style.act()]
            inputs, stride = width << stage, 1
    return nn.Sequential(*layers, GlobalMean())


def resnet(
    image: ImageShape, width: int = 32, depth: int = 2, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    """Three stages of ``depth`` basic residual blocks, after He et al. (2016)."""
    style, inputs = Style(norm, activation), width
    stem, stages = strides(image.size)
    layers: list[nn.Module] = [style.conv(image.channels, width, 3, stem), style.act()]
    for stage, first in enumerate(stages):
        outputs = width << stage
        for stride in [first] + [1] * (depth - 1):
            body = nn.Sequential(style.conv(inputs, outputs, 3, stride), style.act(), style.conv(outputs, outputs))
            same = stride == 1 and inputs == outputs
            layers.append(Residual(body, None if same else style.conv(inputs, outputs, 1, stride), style.act()))
            inputs = outputs
    return nn.Sequential(*layers, GlobalMean())


def mobilenet(
    image: ImageShape, width: int = 24, depth: int = 2, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    """Three stages of ``depth`` inverted residuals with depthwise convolutions, after Sandler et al. (2018)."""
    style, inputs = Style(norm, activation), width
    stem, stages = strides(image.size)
    layers: list[nn.Module] = [style.conv(image.channels, width, 3, stem), style.act()]
    for stage, first in enumerate(stages):
        outputs = width << stage
        for stride in [first] + [1] * (depth - 1):
            wide = 3 * inputs
            body = nn.Sequential(
                style.conv(inputs, wide, 1), style.act(),
                style.conv(wide, wide, 3, stride, groups=wide), style.act(),
                style.conv(wide, outputs, 1),
            )  # fmt: skip
            layers.append(Residual(body) if stride == 1 and inputs == outputs else body)
            inputs = outputs
    return nn.Sequential(*layers, style.conv(inputs, 2 * inputs, 1), style.act(), GlobalMean())


def densenet(
    image: ImageShape, width: int = 12, depth: int = 5, norm: str = "batch", activation: str = "relu"
) -> nn.Module:
    """Three blocks of ``depth`` layers that each add ``width`` channels, after Huang et al. (2017)."""
    style, inputs = Style(norm, activation), 2 * width
    stem, stages = strides(image.size)
    layers: list[nn.Module] = [style.conv(image.channels, inputs, 3, stem), style.act()]
    for stage, stride in enumerate(stages):
        if stage:
            layers += [style.conv(inputs, inputs // 2, 1), style.act(), nn.AvgPool2d(stride)]
            inputs //= 2
        for _ in range(depth):
            layers.append(Concatenate(nn.Sequential(style.conv(inputs, width), style.act())))
            inputs += width
    return nn.Sequential(*layers, GlobalMean())


class Transformer(nn.Module):
    """Patches, learned positions, ``depth`` blocks, and the mean token as features."""

    def __init__(self, image: ImageShape, width: int, depth: int, style: Style) -> None:
        super().__init__()
        patch = max(2, -(-image.size // 8))
        heads = max(count for count in (1, 2, 3, 4) if width % count == 0)

        def norm() -> nn.Module:
            return nn.Identity() if style.norm == "none" else nn.LayerNorm(width)

        self.patches = nn.Conv2d(image.channels, width, patch, patch)
        # Large enough to be seen beside the patches: with the mean token as features a small one is learned slowly.
        self.position = nn.Parameter(0.5 * torch.randn((image.size // patch) ** 2, width))
        self.blocks = nn.Sequential()
        for _ in range(depth):
            mlp = nn.Sequential(norm(), nn.Linear(width, 2 * width), style.act(), nn.Linear(2 * width, width))
            self.blocks.extend([Residual(nn.Sequential(norm(), Attention(width, heads))), Residual(mlp)])
        self.norm = norm()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, S, S) to features (N, width)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.blocks(tokens)).mean(1)


def vit(image: ImageShape, width: int = 96, depth: int = 4, norm: str = "layer", activation: str = "gelu") -> nn.Module:
    """A small vision transformer, after Dosovitskiy et al. (2021), of 16 to 64 patches."""
    return Transformer(image, width, depth, Style(norm, activation))
