"""The transferability scores of a candidate on a target, with what each costs, kept so that they are computed once."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncore.errors import NcoreError
from ncore.predict.curves import PROBE_LOGME
from ncore.probe.candidates import CandidateSpec
from ncore.probe.job import Job, expand
from ncore.probe.settings import identity_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ncore.probe.images import ImageShape, InputSpec

__all__ = ["read_scores", "score_file", "write_scores"]

_BATCH = 256


def score_file(job: Job, folder: Path) -> Path:
    """Where the scores are: a file for all runs that have the same frozen features of the same images."""
    seed = None if job.candidate.pretrained else job.seed
    of = [identity_of(job.candidate, {"name", "training"}), identity_of(job.dataset, {"name"}), seed]
    content = json.dumps(of, sort_keys=True)
    return folder / f"{sha256(content.encode()).hexdigest()[:16]}.json"


def read_scores(job: Job, folder: Path) -> dict[str, dict[str, float]]:
    """``scores`` and ``seconds`` by name, NaN for a score that this candidate can't have; empty if not computed."""
    try:
        found = json.loads(score_file(job, folder).read_text())
    except FileNotFoundError:
        return {"scores": {}, "seconds": {}}
    return {key: {k: math.nan if v is None else v for k, v in found[key].items()} for key in ("scores", "seconds")}


def write_scores(job: Job, folder: Path) -> None:
    """Compute the scores of a run's candidate on the training images of its dataset, unless that is done.

    The seconds of each are of the processor, and hold what comes before the score too: decoding, and the features or
    the source probabilities that it reads.

    Raises:
        NcoreError: The candidate or the data cannot be had.
    """
    path = score_file(job, folder)
    if path.is_file():
        return
    import torch
    from threadpoolctl import threadpool_limits

    with contextlib.chdir(job.base), threadpool_limits(1):
        torch.set_num_threads(1)
        found = _compute(expand(job.candidate), job)
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    aside.write_text(json.dumps({"candidate": job.candidate.name, "dataset": job.dataset.name, **found}, indent=1))
    os.replace(aside, path)


def _compute(candidate: CandidateSpec, job: Job) -> dict[str, Any]:
    from ncore.probe.candidates import load_candidate
    from ncore.probe.datasets import load_dataset
    from ncore.probe.images import ImageShape, InputSpec
    from ncore.probe.recorder import SUITABILITY_SAMPLES
    from ncore.scores.transfer import TRANSFER_SCORES, logme, transfer_scores

    data = load_dataset(expand(job.dataset))
    labels = data.splits["train"].labels
    backbone = load_candidate(candidate, seed=job.seed, shape=data.shape)
    shape, takes = data.shape, backbone.input
    assert isinstance(shape, ImageShape)  # the benchmark's data are pictures
    assert isinstance(takes, InputSpec)
    with _timed() as decoding:
        images = data.splits["train"].tensor(backbone.input)
    with _timed() as passing:
        features = _forward(backbone.module, takes, images)
    with _timed() as naming:
        probabilities = _probabilities(candidate, shape, images)
    before = {"features": decoding[0] + passing[0]}
    before["probabilities"] = before["predictions"] = decoding[0] + naming[0]
    scores: dict[str, float | None] = {}
    seconds: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name, score in TRANSFER_SCORES.items():
        scores[name] = seconds[name] = None
        if score.reads != "features" and probabilities is None:
            reasons[name] = "the candidate has no source classes"
            continue
        with _timed() as spent:
            try:
                scores[name] = _finite(transfer_scores(features, labels, probabilities, [name])[name])
            except NcoreError as error:
                reasons[name] = str(error)
        seconds[name] = before[score.reads] + spent[0]
    first = slice(SUITABILITY_SAMPLES)
    with _timed() as spent, contextlib.suppress(NcoreError):  # what a run reads on its probe, from a pass that it makes
        scores[PROBE_LOGME] = _finite(logme(features[first], labels[first]))
    seconds[PROBE_LOGME] = spent[0]
    return {"scores": scores, "seconds": seconds, "reasons": reasons}


def _probabilities(candidate: CandidateSpec, image: ImageShape, images: Tensor) -> np.ndarray | None:
    """Softmax over the source classes of a pretrained candidate, (N, S); None if it has no head."""
    from ncore.probe.candidates import resolve_input
    from ncore.probe.sources.models import Features

    whole = _with_head(candidate, image)
    if whole is None:
        return None
    loaded, image = whole
    module = Features(loaded.model, loaded.read, candidate.output, candidate.layout).float().eval()
    logits = _forward(module, resolve_input(candidate, loaded.input, image), images).astype(float)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _with_head(candidate: CandidateSpec, image: ImageShape) -> tuple[Any, ImageShape] | None:
    """A pretrained model with its output layer; None where its weights come without one."""
    from ncore.probe.candidates import construct, follow
    from ncore.probe.sources.weights import misfits, read_weights, without_prefix

    if not candidate.pretrained:
        return None
    image = follow(candidate, image)
    loaded, bare = construct(candidate, image), construct(candidate, image)
    if loaded.remove is None or bare.remove is None:
        return None
    bare.remove(bare.model)
    if set(bare.model.state_dict()) == set(loaded.model.state_dict()):
        return None
    weights = Path(candidate.source.partition(":")[2]) if candidate.kind == "file" else candidate.weights
    if weights is not None:
        state = without_prefix(read_weights(weights.expanduser()), loaded.model)
        if misfits(state, loaded.model):
            return None
        loaded.model.load_state_dict(state, strict=False)
    return loaded, image


def _forward(module: nn.Module, spec: InputSpec, images: Tensor) -> np.ndarray:
    """What a module gives for all images, in evaluation mode."""
    import torch

    with torch.no_grad():
        return torch.cat([module(spec.prepare(part)).float() for part in images.split(_BATCH)]).numpy()


@contextlib.contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds of the processor, in a list that is filled at the end."""
    spent = [math.nan]
    started = time.process_time()
    try:
        yield spent
    finally:
        spent[0] = time.process_time() - started


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
