"""``hf:ORG/NAME`` or ``hf:FOLDER``: vision models of transformers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

from ncore.errors import InputError
from ncore.probe.images import INTERPOLATIONS
from ncore.probe.sources._offline import fetching, hub, require
from ncore.probe.sources._trust import own_code_refused, without_remote_code
from ncore.probe.sources.models import Loaded, Read, Request, remove_last_linear

__all__ = [
    "ADVICE",
    "OWN_CODE",
    "build",
    "is_classifier",
    "load",
    "own_input",
    "quiet",
    "read_processor",
    "reader",
    "remove_classifier",
    "side",
]

OWN_CODE = "read that code, and give it as a module of yours with `source: python:MODULE:FACTORY`"
ADVICE = "give a local folder with `source: hf:FOLDER`, or a built-in network"


def load(request: Request) -> Loaded:
    """Build a transformers vision model, pretrained (safetensors only) or from its configuration.

    A checkpoint of an image classifier loses its classifier. Any other gives its pooled output if the checkpoint has
    a trained pooler, and else the mean of its tokens or of its feature map.

    Raises:
        MissingExtraError: Transformers is not installed.
        OfflineError: The files are neither cached nor reachable.
        InputError: Not a vision model, weights that leave some of it untrained, or a model that needs its own code.
    """
    kwargs = without_remote_code(request.kwargs, request.label, OWN_CODE)
    transformers = require("transformers", "hf", f"the candidate {request.label}")
    folder = Path(request.name).expanduser()
    local = folder.is_dir()
    where = str(folder) if local else request.name
    fetched = fetching(request.label, "the hub", ADVICE) if local else hub(request.label, ADVICE)
    with fetched, quiet(transformers), own_code_refused(request.label, OWN_CODE):
        config = transformers.AutoConfig.from_pretrained(where, trust_remote_code=False, **kwargs)
        processor = read_processor(transformers, where)
        flip = bool(processor.get("do_flip_channel_order"))
        input_spec = own_input(processor, config)
        if is_classifier(transformers, config):
            model = build(transformers.AutoModelForImageClassification, where, config, request)
            return Loaded(model, input_spec, remove_classifier, reader(model, "logits", flip))
        model = build(transformers.AutoModel, where, config, request)
    if hasattr(config, "vision_config"):  # the picture half of CLIP and its kin
        model = model.get_submodule("vision_model")
    return Loaded(model, input_spec, None, reader(model, "pooled", flip))


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Without the bar that counts the tensors while they are loaded."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def is_classifier(transformers: Any, config: Any) -> bool:
    """Whether the checkpoint, or failing that its configuration's class, is that of an image classifier."""
    if config.architectures:
        return config.architectures[0].endswith(("ForImageClassification", "ForImageClassificationWithTeacher"))
    return type(config) in transformers.AutoModelForImageClassification._model_mapping


def build(auto: Any, where: str, config: Any, request: Request) -> nn.Module:
    """Construct from weights or from the configuration, and refuse weights that leave parts untrained."""
    if not request.pretrained:
        return auto.from_config(config, trust_remote_code=False)
    model, info = auto.from_pretrained(
        where, config=config, use_safetensors=True, output_loading_info=True, trust_remote_code=False
    )
    missing = sorted(str(key) for key in info["missing_keys"])
    if missing and all("pooler" in key for key in missing):
        model.pooler = None
        missing = []
    wrong = missing + sorted(str(key) for key in info["mismatched_keys"])
    if wrong:
        raise InputError(f"the weights of {request.label} leave {wrong[0]} untrained: choose another checkpoint.")
    return model


def remove_classifier(model: nn.Module) -> None:
    """Take the classifier off, unless the configuration already made it an identity."""
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if linears and linears[-1].out_features == getattr(model.config, "num_labels", None):
        remove_last_linear(model)


def reader(model: nn.Module, kind: str, flip: bool) -> Read:
    """How to call the model: pictures of any size where it can, channels flipped where its processor does so."""
    accepted = inspect.signature(model.forward).parameters
    extra = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}

    def read(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        output = model(images.flip(1) if flip else images, **extra)
        if kind == "logits":
            return output.logits
        pooled = getattr(output, "pooler_output", None)
        return output.last_hidden_state if pooled is None else pooled.flatten(1)

    return read


def read_processor(transformers: Any, where: str) -> dict[str, Any]:
    """The checkpoint's image processor as written; empty if it has none."""
    try:
        return transformers.ImageProcessingMixin.get_image_processor_dict(where)[0]
    except OSError:
        return {}


def own_input(processor: dict[str, Any], config: Any) -> dict[str, Any]:
    """Input configuration of an image processor, or where that is silent of the model's ``image_size``."""
    vision = getattr(config, "vision_config", config)
    image_size = getattr(vision, "image_size", None) or 224
    size = processor.get("size") or image_size
    if processor.get("do_center_crop") and processor.get("crop_size"):
        size = processor["crop_size"]
    normalise = processor.get("do_normalize", True)
    names = {int(value): name for name, value in INTERPOLATIONS.items()}
    return {
        "channels": getattr(vision, "num_channels", None) or 3,
        "size": side(size, image_size),
        "mean": tuple(processor.get("image_mean") or (0.5,)) if normalise else (0.0,),
        "std": tuple(processor.get("image_std") or (0.5,)) if normalise else (1.0,),
        "interpolation": names[int(processor.get("resample", Image.Resampling.BILINEAR))],
    }


def side(size: Any, default: int | list[int]) -> int:
    """Pixels in any of the ways that image processors write them."""
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or size.get("longest_edge") or default
    return int(min(size)) if isinstance(size, list | tuple) else int(size)
