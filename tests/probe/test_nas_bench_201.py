"""Cells of NAS-Bench-201: the text, the space, and networks that are the benchmark's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ncore.errors import InputError
from ncore.probe.builtin import build
from ncore.probe.builtin.nas_bench_201 import (
    EDGES,
    OPERATIONS,
    RESIDUAL,
    Cell,
    Reduction,
    every_cell,
    is_connected,
    nas_bench_201,
    parse,
    write,
)
from ncore.probe.candidates import load_candidate
from ncore.probe.images import ImageShape

steady = settings(deadline=None, max_examples=50)
operations = st.tuples(*[st.sampled_from(OPERATIONS)] * len(EDGES))


def all_of(operation: str) -> str:
    return write([operation] * len(EDGES))


def parameters(arch: str) -> int:
    network = nn.Sequential(nas_bench_201(ImageShape(3, 32), arch), nn.Linear(64, 10))
    return sum(parameter.numel() for parameter in network.parameters())


@steady
@given(cell=operations)
def test_reading_undoes_writing(cell):
    assert parse(write(cell)) == cell


def test_the_space_has_as_many_cells_as_published():
    cells = list(every_cell())
    assert len(cells) == len(set(cells)) == 15_625
    assert RESIDUAL in cells
    # As many cells of the published table never leave 10.0% on CIFAR-10.
    assert sum(not is_connected(cell) for cell in cells) == 341


@pytest.mark.parametrize(
    ("arch", "published"),
    # The benchmark lists 0.073306 to 1.531546 million parameters on CIFAR-10.
    [(all_of("none"), 73_306), (all_of("skip_connect"), 73_306), (all_of("nor_conv_3x3"), 1_531_546)],
    ids=["none", "skip", "conv"],
)
def test_sizes_are_those_published(arch, published):
    assert parameters(arch) == published


def by_hand(cell: Cell, maps: torch.Tensor, arch: str) -> torch.Tensor:
    """Node by node, as the benchmark defines it."""
    nodes = {0: maps}
    for node in (1, 2, 3):
        nodes[node] = torch.zeros_like(maps)
        for (source, target), operation in zip(EDGES, parse(arch), strict=True):
            if target == node and operation != "none":
                nodes[node] = nodes[node] + cell.operations[f"{source}_{target}"](nodes[source])
    return nodes[3]


@steady
@given(cell=operations)
def test_a_node_is_the_sum_of_what_enters_it(cell):
    torch.manual_seed(0)
    module = Cell(cell, 4).eval()
    maps = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(module(maps), by_hand(module, maps, write(cell)))


def test_operations_by_their_meaning():
    torch.manual_seed(0)
    maps = torch.randn(2, 4, 6, 6)
    direct = ["none", "none", "none", "skip_connect", "none", "none"]
    assert torch.equal(Cell(direct, 4)(maps), maps)
    direct[3] = "avg_pool_3x3"
    pooled = Cell(direct, 4)(maps)
    assert pooled[0, 0, 0, 0] == pytest.approx(float(maps[0, 0, :2, :2].mean())), "the border is not counted"
    direct[3] = "nor_conv_1x1"
    module = Cell(direct, 4).eval()
    conv = module.operations["0_3"][1]
    expected = conv(maps.relu()) / (1 + 1e-5) ** 0.5  # fresh normalisation: mean 0, variance 1
    torch.testing.assert_close(module(maps), expected)
    # Two identities in a row and one beside them.
    assert torch.equal(
        Cell(["none", "skip_connect", "none", "skip_connect", "none", "skip_connect"], 4)(maps), 2 * maps
    )


@steady
@given(cell=operations)
def test_only_a_connected_cell_sees(cell):
    torch.manual_seed(0)
    module = Cell(cell, 2).eval()
    a, b = torch.rand(1, 2, 4, 4) + 0.1, torch.rand(1, 2, 4, 4) + 2
    # ReLUs may cut a path for these inputs by chance, so weights that let all through.
    for parameter in module.parameters():
        nn.init.ones_(parameter) if parameter.ndim > 1 else nn.init.constant_(parameter, 0.5)
    assert torch.equal(module(a), module(b)) != is_connected(write(cell))


@pytest.mark.parametrize("size", [8, 15, 32])
def test_a_reduction_halves_any_map(size):
    assert Reduction(3, 6)(torch.zeros(1, 3, size, size)).shape == (1, 6, -(-size // 2), -(-size // 2))


def test_as_a_candidate():
    spec = {"source": "nas-bench-201", "kwargs": {"arch": all_of("nor_conv_1x1"), "channels": 4, "cells": 2}}
    backbone = load_candidate(spec, shape=ImageShape(1, 8), seed=3)
    assert backbone.feature_dim == 16
    again = load_candidate(spec, shape=ImageShape(1, 8), seed=3)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(backbone.module(images), again.module(images))
    cells = [module for module in backbone.module.modules() if isinstance(module, Cell)]
    assert len(cells) == 6


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("|none~0|+|none~0|none~1|", ["six operations", "|op~0|+"]),
        ("", ["|op~0|+"]),
        (7, ["7", "|op~0|+"]),
        (RESIDUAL + "|", ["|op~0|+"]),
        (RESIDUAL[:-1], ["|op~0|+"]),
        (RESIDUAL.replace("skip_connect~2", "skip_connect~1"), ["skip_connect~1", "node 2"]),
        (RESIDUAL.replace("skip_connect~2", "skip_connect"), ["skip_connect", "node 2"]),
        (RESIDUAL.replace("nor_conv_3x3~1", "nor_conv_5x5~1"), ["nor_conv_5x5", "nor_conv_3x3"]),
        (RESIDUAL + "+" + "|none~0|none~1|none~2|none~3|", ["six operations"]),
    ],
    ids=["short", "empty", "number", "long", "open", "origin", "no-origin", "operation", "five-nodes"],
)
def test_errors_say_what_was_expected(arch, words):
    with pytest.raises(InputError) as caught:
        build("nas-bench-201", ImageShape(3, 8), {"arch": arch})
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(("option", "value"), [("channels", 0), ("cells", 1.5), ("cells", 0)])
def test_channels_and_cells_are_counts(option, value):
    with pytest.raises(InputError, match=option):
        build("nas-bench-201", ImageShape(3, 8), {option: value})


def test_options_of_families_are_not_its_own():
    with pytest.raises(InputError, match="width"):
        build("nas-bench-201", ImageShape(3, 8), {"width": 8})
