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
from ncore.probe.sources._measured import measure
from ncore.probe.sources._offline import fetching, first_line, hub, is_offline, require
from ncore.probe.sources._trust import REMOTE_CODE, own_code_refused, without_remote_code
from ncore.probe.sources.models import Loaded, Read, Request, replace

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
        input_spec = own_input(transformers, where, config, request.label)
        if is_classifier(transformers, config):
            model = build(transformers.AutoModelForImageClassification, where, config, request)
            return Loaded(model, input_spec, remove_classifier, reader(model, "logits"))
        model = build(transformers.AutoModel, where, config, request)
    if hasattr(config, "vision_config"):  # the picture half of CLIP and its kin
        model = model.get_submodule("vision_model")
    return Loaded(model, input_spec, None, reader(model, "pooled"))


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
    """Take the classifiers off, unless the configuration already made them identities.

    One of a model with a teacher's second head (DeiT, LeViT) leaves the mean of what its two heads are fed, as its
    authors average the two heads' answers.
    """
    labels, inside = getattr(model.config, "num_labels", None), getattr(model, "base_model_prefix", "")
    heads = {
        name.partition(".")[0]: name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == labels and name.partition(".")[0] != inside
    }
    for name in heads.values():
        replace(model, name)


def reader(model: nn.Module, kind: str) -> Read:
    """How to call the model: with pictures of any size where it can."""
    accepted = inspect.signature(model.forward).parameters
    extra = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}

    def read(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
        output = model(images, **extra)
        if kind == "logits":
            return output.logits
        pooled = getattr(output, "pooler_output", None)
        return output.last_hidden_state if pooled is None else pooled.flatten(1)

    return read


def read_processor(transformers: Any, where: str, config: Any) -> Any:
    """The checkpoint's image processor; None if it has none.

    Raises:
        ValueError: Transformers doesn't have the one that is named, and would take that of the model's kind.
        Exception: Whatever transformers says of one that it can't build.
    """
    written: dict[str, Any] = {}
    try:
        written = transformers.ImageProcessingMixin.get_image_processor_dict(where)[0]
    except OSError as error:
        if is_offline(error):
            raise
        if getattr(config, "model_type", "") != "timm_wrapper":  # whose preprocessing is in the configuration
            return None
    processor = transformers.AutoImageProcessor.from_pretrained(where, config=config, trust_remote_code=False)
    named = written.get("image_processor_type") or written.get("feature_extractor_type")
    if named and _bare(named) != _bare(type(processor).__name__):
        raise ValueError(f"transformers has no {named}")
    return processor


def _bare(name: str) -> str:
    """The name of a processor whichever of its implementations it is, by its older names too."""
    return name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")


def own_input(transformers: Any, where: str, config: Any, label: str) -> dict[str, Any]:
    """Input configuration, read off what the checkpoint's image processor makes of pictures of one colour."""
    vision = getattr(config, "vision_config", config)
    image_size = getattr(vision, "image_size", None) or 224
    own = {"channels": getattr(vision, "num_channels", None) or 3, "size": side(image_size)}
    try:
        processor = read_processor(transformers, where, config)
    except Exception as error:
        refusal = f"the image processor of {label} cannot be built ({first_line(error)})"
        if REMOTE_CODE in str(error):
            refusal = f"the image processor of {label} needs code that came with the download, which is never run"
        return {**own, "refusal": f"{refusal}: set `mean`, `std` and `input_size` to what the model was trained with."}
    if processor is None:
        return own
    names = {int(value): name for name, value in INTERPOLATIONS.items()}
    own["interpolation"] = names.get(int(getattr(processor, "resample", None) or Image.Resampling.BILINEAR), "bilinear")
    normalises = getattr(processor, "do_normalize", False)
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    stated = {"mean": mean, "std": std} if normalises and mean and std else {"mean": 0.0, "std": 1.0}

    def process(picture: Image.Image) -> torch.Tensor:
        return torch.as_tensor(processor(picture, return_tensors="pt")["pixel_values"][0])

    try:
        found = measure(process, label, grey=own["channels"] == 1, stated=stated)
    except InputError as error:
        return {**own, "refusal": str(error)}
    return {**own, **found, "source": "processor"}


def side(size: int | list[int] | tuple[int, ...]) -> int:
    """Pixels of a square within a size."""
    return int(min(size)) if isinstance(size, list | tuple) else int(size)
