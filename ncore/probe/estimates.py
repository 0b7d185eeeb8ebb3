"""How much memory the training of a candidate will take, before its weights are there: on a device without data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from ncore.errors import InputError
from ncore.probe._live import LiveBytes
from ncore.probe.candidates import CandidateSpec, construct, follow
from ncore.probe.images import ImageShape
from ncore.probe.modalities.base import Shape
from ncore.probe.settings import RecordingSettings, TrainingSettings
from ncore.probe.sources.models import Features, remover
from ncore.probe.training import EVALUATION_BATCH, ProbedModel, choose_device
from ncore.probe.unit import NCPUnit

__all__ = ["training_bytes"]


def training_bytes(
    candidate: CandidateSpec,
    training: TrainingSettings,
    recording: RecordingSettings,
    image: Shape,
    classes: int,
    images: Mapping[str, int],
) -> int:
    """About how many bytes all tensors take at once, on the device that trains; on the CPU with all pictures.

    What kernels and libraries need for themselves comes on top; mixed precision takes less, and so does attention that
    never holds its whole matrix. Weights are neither loaded nor made, but a factory of the user's own is called, and a
    configuration may be fetched.

    Args:
        candidate: That would be trained.
        training: How, its own overrides included.
        recording: Of the probe.
        image: The dataset's pictures.
        classes: How many.
        images: How many pictures, by set.

    Example:
        >>> small, large = (
        ...     training_bytes(CandidateSpec.parse("lenet"), TrainingSettings(batch_size=size), RecordingSettings(),
        ...                    ImageShape(1, 28), 10, {"train": 1000, "validation": 100, "test": 100})
        ...     for size in (512, 1024)
        ... )
        >>> small < large < 2 * small
        True
    """
    if not isinstance(image, ImageShape):
        raise InputError("memory is estimated for pictures only; other candidates are measured as they are trained.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what initialises, or loads, weights that are not there
        backbone, shape = _backbone(candidate, image)
        most = min(EVALUATION_BATCH, max(images.values()))
        with torch.no_grad(), LiveBytes(_tensors(backbone)) as looking:
            width = backbone(_pictures(most, shape)).shape[1]
        own = training.unit
        unit = NCPUnit(width, classes, own.widths, own.activation, dropout=own.dropout, seed=own.seed)
        whole = ProbedModel(backbone, unit.to("meta"), training.mode, training.fine_tuning_depth).train()
        model = unit if training.mode == "unit" else whole
        batch = min(training.batch_size, images["train"])
        inputs = torch.empty(batch, width, device="meta") if training.mode == "unit" else _pictures(batch, shape)
        with LiveBytes(_tensors(whole)) as learning:
            outputs = model(inputs).float()
            loss = nn.functional.cross_entropy(outputs, torch.zeros(batch, dtype=torch.int64, device="meta"))
            loss.backward()
    trained = sum(_bytes(parameter) for parameter in model.parameters() if parameter.requires_grad)
    copies = {"adamw": 2, "sgd": 1 if training.momentum else 0}[training.optimizer]
    peak = max(looking.peak, learning.peak + copies * trained)
    if choose_device(training.device).type != "cpu":
        return peak
    pixels = shape.channels * shape.size**2
    probe = 4 * min(recording.probe_samples, images["train"])
    if training.mode == "unit":
        features = 4 * width * (images["train"] + images["validation"])
        return peak + trained * (copies + 1) + pixels * sum(images.values()) + features + probe * width
    return peak + trained * (copies + 1) + pixels * sum(images.values()) + probe * pixels


def _backbone(spec: CandidateSpec, image: ImageShape) -> tuple[nn.Module, ImageShape]:
    """A candidate without its output layer and without data, and the pictures that it takes."""
    without = spec.model_copy(update={"pretrained": False, "weights": None})
    image = follow(spec, image)
    with torch.device("meta"):
        loaded = construct(without, image)
        remove = remover(spec.remove) if spec.remove is not None else loaded.remove
        if remove is not None:
            remove(loaded.model)
    module = Features(loaded.model, loaded.read, spec.output, spec.layout).to("meta").float().eval()
    size = spec.input_size or loaded.input.get("size", image.size)
    return module, ImageShape(spec.channels or loaded.input.get("channels", image.channels), size)


def _pictures(count: int, shape: ImageShape) -> Tensor:
    return torch.empty(count, shape.channels, shape.size, shape.size, device="meta")


def _tensors(model: nn.Module) -> chain[Tensor]:
    return chain(model.parameters(), model.buffers())


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
