"""A job with everything loaded: what trains it, and what is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from ncore.probe.candidates import Backbone
    from ncore.probe.datasets import Dataset
    from ncore.store import Store
    from ncore.store.manifest import Manifest

__all__ = ["About", "Ready", "Session"]


@dataclass(frozen=True)
class About:
    """What is recorded of a run beside what identifies it; ``costs`` measures what its candidate costs to use."""

    resolved: dict[str, Any]
    digests: dict[str, Any]
    fingerprint: str
    costs: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Ready:
    """A job with everything loaded.

    Attributes:
        train: Trains and records it in a store, taking over what a process left that is known to be gone, or not;
            returns the run's id.
        data: What it is trained and tested on.
    """

    train: Callable[[Store, bool], str]
    data: Dataset


@dataclass(frozen=True)
class Session(Ready):
    """The same of a network, as all candidates are but baselines.

    Attributes:
        model: The backbone and the unit, whole in every mode; what it holds is what ``train`` trains.
        backbone: The candidate without its output layer.
        about: What is recorded beside.
        others: How the weights that a run began with differ from these; empty if they don't.
    """

    model: nn.Sequential
    backbone: Backbone
    about: About
    others: Callable[[Manifest], str]
