"""Shortlists: diverse, within limits, with reasons, and without a network."""

from __future__ import annotations

import socket

import pytest
from typer.testing import CliRunner

from ncore.cli import app
from ncore.errors import InputError
from ncore.probe.candidates import CandidateSpec
from ncore.probe.shortlist import COLUMNS, shortlist
from ncore.store.limits import Limits

pytest.importorskip("timm")
pytest.importorskip("torchvision")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a shortlist asks nobody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_it_is_diverse_and_within_the_limit(no_network):
    table = shortlist("timm:resnet18", Limits(params=12e6), count=8)
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 8
    assert table["source"][0] == "timm:resnet18"
    assert (table["parameters"] <= 12e6).all()
    assert table["family"].nunique() >= 7  # of its own family there may be another size
    assert table["source"].is_unique
    assert table["parameters"].max() > 3 * table["parameters"].min()
    assert table["reason"].str.len().gt(0).all()
    assert all(CandidateSpec.parse(source).pretrained for source in table["source"])


def test_one_that_is_too_large_is_left_out_and_torchvision_is_known(no_network):
    table = shortlist("torchvision:vgg16", Limits(mb=60), count=3)
    assert "torchvision:vgg16" not in set(table["source"])
    assert (4 * table["parameters"] <= 60e6).all()


@pytest.mark.parametrize(
    ("like", "limits", "match"),
    [
        ("timm:resnet18x", None, "not a model of timm.*did you mean resnet18"),
        ("lenet", None, "must be one of timm:NAME or torchvision:NAME"),
        ("torchvision:resnet18", Limits(params=10), "under 10 parameters: allow more"),
    ],
)
def test_what_is_not_there_is_one_sentence(like, limits, match):
    with pytest.raises(InputError, match=match):
        shortlist(like, limits, count=1)


def test_the_command():
    said = CliRunner().invoke(app, ["candidates", "--like", "torchvision:squeezenet1_1", "--count", "2"])
    assert said.exit_code == 0, said.output
    assert "torchvision:squeezenet1_1" in said.stdout
    assert "hf:ORG/NAME" in said.stdout
