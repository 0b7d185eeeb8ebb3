"""What the names of a dataset and of a candidate stand for now, by content: to be compared with what a run has seen."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncore.probe.agreement import other_weights
from ncore.probe.candidates import CandidateSpec, load_candidate
from ncore.probe.datasets import DatasetSpec, load_dataset
from ncore.probe.modalities.base import Shape
from ncore.probe.sources import model_hf, model_timm, model_torchvision
from ncore.probe.sources._cached import files_digest

if TYPE_CHECKING:
    from ncore.store.manifest import Manifest

__all__ = ["DataNow", "data_now", "has_weights_here", "trained_from_other_weights", "weights_on_disk"]


@dataclass(frozen=True)
class DataNow:
    """A dataset as it is loaded now.

    Attributes:
        digests: ``data``, ``cut`` and ``sketch``.
        fingerprint: Of how it was described, before there were digests.
        shape: What candidates have to know of its examples.
        images: How many there are, by set.
        classes: How many.
    """

    digests: Mapping[str, Any]
    fingerprint: str
    shape: Shape
    images: Mapping[str, int]
    classes: int


def data_now(spec: DatasetSpec, seed: int) -> DataNow:
    """Look at a dataset; pictures are decoded for it, unless they are files that were looked at before.

    Args:
        spec: Of the dataset.
        seed: Of its cut.

    Raises:
        NcoreError: It can't be loaded.
    """
    from ncore.probe._content import digests_of

    data = load_dataset(spec, seed=seed)
    images = {name: len(split) for name, split in data.splits.items()}
    return DataNow(digests_of(data), data.fingerprint, data.shape, images, len(data.class_names))


def has_weights_here(spec: CandidateSpec) -> bool:
    """Whether a candidate's weights are files or code of the user's own, which may have changed under the same name."""
    name = spec.source.partition(":")[2]
    local = spec.kind == "hf" and Path(name).expanduser().is_dir()
    local = local or (spec.kind == "timm" and model_timm.local_folder(name) is not None)
    return spec.kind in ("file", "python", "embeddings") or spec.weights is not None or local


def weights_on_disk(spec: CandidateSpec) -> str | None:
    """A digest of the files that a candidate's downloaded weights come from, without loading or fetching them.

    Other digests need not be other weights: the same ones may have been written anew.

    Returns:
        The digest; empty if no cache on this disk has the files; None if the weights are no download.
    """
    kinds = {
        "hf": model_hf.cached_weights,
        "timm": model_timm.cached_weights,
        "torchvision": model_torchvision.cached_weights,
    }
    if spec.kind not in kinds or not spec.pretrained or has_weights_here(spec):
        return None
    # A library that isn't there, or doesn't know the name, says so better where the candidate is loaded.
    with contextlib.suppress(Exception):
        return files_digest(kinds[spec.kind](spec.source.partition(":")[2], spec.kwargs)) or ""
    return ""


def trained_from_other_weights(
    manifest: Manifest, spec: CandidateSpec, seed: int, shape: Shape, now: str | None = None
) -> str:
    """How the weights that a run began with differ from those that its candidate has now; empty if they don't.

    Those of a factory that gives others each time it is called, as some do that ask NumPy for them, tell nothing.

    Args:
        manifest: Of the run.
        spec: Of the candidate.
        seed: Of the run.
        shape: What candidates have to know of the dataset's examples.
        now: The digest, where it is known already.

    Raises:
        NcoreError: The candidate can't be loaded.
    """
    from ncore.probe._weights import weights_digest

    def load() -> str:
        backbone = load_candidate(spec, seed=seed, shape=shape)
        return weights_digest(backbone.module, backbone.input.content())

    if not manifest.digests.get("weights") or not (spec.pretrained or spec.kind in ("python", "embeddings")):
        return ""
    now = now or load()
    why = other_weights(manifest, now, spec.name)
    return "" if why and spec.kind == "python" and load() != now else why
