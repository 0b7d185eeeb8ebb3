"""Cells of NAS-Bench-201 (Dong and Yang, ICLR 2020): 5 operations on 6 edges between 4 nodes, 15,625 cells.

A cell is written as in that benchmark, ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``: what enters nodes 1, 2 and 3, each
operation with the node it comes from. Node 0 is the input, node 3 the output, and a node is the sum of what enters it.
The network is the benchmark's too: a stem, three stages of equal cells with residual blocks that halve the map and
double the channels between them, and the mean over the map. Its ``channels`` and ``cells`` are 16 and 5 there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe.builtin._layers import GlobalMean
from ncore.probe.images import ImageShape

__all__ = [
    "EDGES",
    "OPERATIONS",
    "OUTPUT",
    "RESIDUAL",
    "Cell",
    "Reduction",
    "every_cell",
    "is_connected",
    "nas_bench_201",
    "parse",
    "write",
]

#: In the order in which NAS-Bench-201 lists them.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: Source and target node of each edge, in the order of the cell's text.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OUTPUT = 3
#: The cell that is a residual block of two convolutions.
RESIDUAL = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def parse(arch: str) -> tuple[str, ...]:
    """The operations of a cell, one for each of ``EDGES``.

    Raises:
        InputError: The text has another form, or an operation is unknown.

    Example:
        >>> parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")[3]
        'nor_conv_3x3'
    """
    nodes = arch.split("+") if isinstance(arch, str) else []
    operations = []
    for (source, target), text in zip(EDGES, _edges(nodes), strict=False):
        operation, mark, origin = text.partition("~")
        if not mark or origin != str(source):
            raise InputError(
                f"The cell {arch!r} has {text!r} where an operation from node {source} to node {target} was expected: "
                f"write it as {_FORM}."
            )
        if operation not in OPERATIONS:
            raise unknown("an operation of NAS-Bench-201", operation, OPERATIONS)
        operations.append(operation)
    if len(operations) < len(EDGES) or write(operations) != arch:
        raise InputError(f"The cell is {arch!r}, but six operations on the edges of four nodes were expected: {_FORM}.")
    return tuple(operations)


def write(operations: Sequence[str]) -> str:
    """The text of a cell, from an operation for each of ``EDGES``; the inverse of ``parse``."""
    entering: dict[int, list[str]] = {}
    for (source, target), operation in zip(EDGES, operations, strict=True):
        entering.setdefault(target, []).append(f"{operation}~{source}")
    return "+".join(f"|{'|'.join(texts)}|" for texts in entering.values())


def every_cell() -> Iterator[str]:
    """All 15,625 cells, the last edge changing fastest; the benchmark itself numbers them in an order of its own."""
    return map(write, product(OPERATIONS, repeat=len(EDGES)))


def is_connected(arch: str) -> bool:
    """Whether a path leads from the input to the output; without one a network is blind, whatever it learns."""
    reached = {0}
    for (source, target), operation in zip(EDGES, parse(arch), strict=True):  # edges are sorted by their target
        if operation != "none" and source in reached:
            reached.add(target)
    return OUTPUT in reached


def nas_bench_201(image: ImageShape, arch: str = RESIDUAL, channels: int = 16, cells: int = 5) -> nn.Module:
    """The network of a cell, without its output layer: features (N, 4 * channels).

    Args:
        image: Channels and size of its input; the benchmark has 3 and 32.
        arch: The cell, see ``parse``.
        channels: Of the stem and the first stage.
        cells: In each of the three stages.
    """
    operations = parse(arch)
    layers: list[nn.Module] = [
        nn.Conv2d(image.channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
    ]
    width = channels
    for stage in range(3):
        if stage:
            layers.append(Reduction(width, 2 * width))
            width *= 2
        layers += [Cell(operations, width) for _ in range(cells)]
    network = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), GlobalMean())
    # Pooling and normalising few channels takes a CPU two thirds of the time in this layout.
    return network.to(memory_format=torch.channels_last)


class Cell(nn.Module):
    """Maps (N, C, H, W) to maps of the same shape. Edges that lead nowhere are kept, as in the benchmark."""

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleDict()
        for (source, target), operation in zip(EDGES, operations, strict=True):
            if operation != "none":
                self.operations[f"{source}_{target}"] = _operation(operation, channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Same as the class."""
        nodes = [maps]
        for target in range(1, OUTPUT + 1):
            names = [(source, f"{source}_{target}") for source in range(target)]
            entering = [self.operations[name](nodes[source]) for source, name in names if name in self.operations]
            nodes.append(sum(entering[1:], entering[0]) if entering else torch.zeros_like(maps))
        return nodes[OUTPUT]


class Reduction(nn.Module):
    """The residual block between two stages: (N, C, H, W) to (N, 2C, H/2, W/2), rounded up."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(inputs, outputs, 3, 2), _conv(outputs, outputs, 3))
        # Rounding up, as the strided convolution does, lets it take an odd side.
        pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
        self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Same as the class."""
        return self.shortcut(maps) + self.body(maps)


def _operation(name: str, channels: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    return _conv(channels, channels, 1 if name == "nor_conv_1x1" else 3)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """The benchmark's order: activation, convolution, normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs))


def _edges(nodes: Sequence[str]) -> Iterator[str]:
    """What stands between the bars, node by node."""
    for node in nodes:
        yield from node.strip("|").split("|")
