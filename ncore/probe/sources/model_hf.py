"""``hf:ORG/NAME`` or ``hf:FOLDER``: vision models of transformers."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from PIL import Image
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.images import INTERPOLATIONS
from ncore.probe.sources._cached import in_hub_cache
from ncore.probe.sources._measured import measure
from ncore.probe.sources._offline import fetching, hub, is_offline, require
from ncore.probe.sources._trust import REMOTE_CODE, own_code_refused, without_remote_code
from ncore.probe.sources.models import Loaded, Read, Request, remove_timm, replace
from ncore.probe.sources.weights import first_three, quantised

__all__ = [
    "ADVICE",
    "OWN_CODE",
    "PLACE",
    "build",
    "cached_weights",
    "check_numbers",
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
PLACE = ("revision", "subfolder")
"""Of ``kwargs``, what says where the files are: for configuration, weights and processor alike."""
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
    place = {name: kwargs.pop(name) for name in PLACE if name in kwargs}
    folder = Path(request.name).expanduser()
    local = folder.is_dir()
    where = str(folder) if local else request.name
    warnings: list[str] = []
    fetched = fetching(request.label, "the hub", ADVICE) if local else hub(request.label, ADVICE)
    with fetched, quiet(transformers), own_code_refused(request.label, OWN_CODE):
        config = transformers.AutoConfig.from_pretrained(where, trust_remote_code=False, **place, **kwargs)
        if lost := [name for name in kwargs if not hasattr(config, name)]:
            raise InputError(
                f"`kwargs` of {request.label} has {lost[0]!r}, which is none of the settings of a "
                f"{type(config).__name__}, nor {' or '.join(PLACE)}: correct the name or leave it out."
            )
        config.return_dict = True  # outputs are told by their names
        input_spec = own_input(transformers, where, config, request.label, place)
        if is_classifier(transformers, config):
            model = build(transformers.AutoModelForImageClassification, where, config, request, warnings, place)
            return Loaded(model, input_spec, remove_classifier, reader(model), warnings)
        model = build(transformers.AutoModel, where, config, request, warnings, place)
        if hasattr(config, "vision_config"):  # the picture half of CLIP and its kin
            model = _picture_half(model, request.label)
    return Loaded(model, input_spec, None, reader(model), warnings)


def _picture_half(model: nn.Module, label: str) -> nn.Module:
    """The part of a model of pictures and texts that takes pictures."""
    children = dict(model.named_children())
    if "vision_model" not in children:
        raise InputError(
            f"{label} is a {type(model).__name__} of {', '.join(children)}, none of which is called vision_model: give "
            "the part that takes pictures by a `python:` factory."
        )
    return children["vision_model"]


@contextlib.contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Without the bar that counts the tensors while they are loaded, and the report on them: we say what matters."""
    logging = transformers.utils.logging
    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def is_classifier(transformers: Any, config: Any) -> bool:
    """Whether the checkpoint, or failing that its configuration's class, is that of an image classifier."""
    if config.architectures:
        return config.architectures[0].endswith(("ForImageClassification", "ForImageClassificationWithTeacher"))
    return type(config) in transformers.AutoModelForImageClassification._model_mapping


def build(
    auto: Any, where: str, config: Any, request: Request, warnings: list[str], place: Mapping[str, Any]
) -> nn.Module:
    """Construct from weights or from the configuration, and refuse weights that leave parts untrained.

    What transformers only logs goes to ``warnings``.
    """
    if not request.pretrained:
        return auto.from_config(config, trust_remote_code=False)
    model, info = auto.from_pretrained(
        where, config=config, use_safetensors=True, output_loading_info=True, trust_remote_code=False, **place
    )
    missing = sorted(str(key) for key in info["missing_keys"])
    if missing and all("pooler" in key for key in missing):
        model.pooler = None
        missing = []
    wrong = missing + sorted(str(key[0] if isinstance(key, tuple) else key) for key in info["mismatched_keys"])
    if wrong:
        raise InputError(
            f"the weights of {request.label} leave {len(wrong)} of its {len(model.state_dict())} tensors untrained "
            f"({first_three(wrong)}): choose another checkpoint."
        )
    check_numbers(where, model, request.label, place)
    inside = f"{getattr(model, 'base_model_prefix', '')}."
    # A model without its head leaves that of the checkpoint aside, and nothing else.
    whole = type(model).__name__ in (config.architectures or ())
    aside = sorted(str(key) for key in info["unexpected_keys"] if whole or str(key).startswith(inside))
    if aside:
        some = "1 tensor" if len(aside) == 1 else f"{len(aside)} tensors"
        warnings.append(
            f"{some} of the weights of {request.label} have no place in a {type(model).__name__} of its configuration "
            f"and are left out: {first_three(aside)}."
        )
    return model


def cached_weights(name: str, kwargs: Mapping[str, Any]) -> list[Path]:
    """Files of weights that the cache has of a checkpoint."""
    return in_hub_cache(name, kwargs.get("revision"), kwargs.get("subfolder") or "")


def check_numbers(where: str, model: nn.Module, label: str, place: Mapping[str, Any]) -> None:
    """Refuse a checkpoint whose files hold quantised numbers, which transformers would take for weights.

    Raises:
        InputError: Names the first.
    """
    from safetensors import safe_open
    from transformers.utils import cached_file

    def found(name: str) -> str | None:
        return cached_file(where, name, local_files_only=True, _raise_exceptions_for_missing_entries=False, **place)

    files = [found("model.safetensors")]
    if index := found("model.safetensors.index.json"):
        files += [found(name) for name in sorted(set(json.loads(Path(index).read_text())["weight_map"].values()))]
    # Some names are others in the model; their last part tells weights from what is counted.
    real = {name.rpartition(".")[2] for name, value in model.state_dict().items() if value.is_floating_point()}
    for file in filter(None, files):
        with safe_open(file, "pt") as opened:
            for key in opened.keys():  # noqa: SIM118  (it is no mapping)
                kind = opened.get_slice(key).get_dtype()
                if key.rpartition(".")[2] in real and kind not in ("F16", "BF16", "F32", "F64"):
                    raise InputError(
                        f"the weights of {label} cannot be used ({quantised(key, kind)}): choose a checkpoint that "
                        "isn't quantised."
                    )


def remove_classifier(model: nn.Module) -> None:
    """Take the classifiers off, unless the configuration already made them identities.

    One of a model with a teacher's second head (DeiT, LeViT) leaves the mean of what its two heads are fed, as its
    authors average the two heads' answers.

    Raises:
        InputError: There is none.
    """
    from transformers import PreTrainedModel

    children = dict(model.named_children())
    if "timm_model" in children:
        remove_timm(children["timm_model"])
        return
    labels = getattr(model.config, "num_labels", None)
    # A layer of a backbone, which is a model of its own, may have as many outputs by chance.
    inside = {name for name, child in children.items() if isinstance(child, PreTrainedModel)}
    inside.add(getattr(model, "base_model_prefix", ""))
    heads = {
        name.partition(".")[0]: name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == labels and name.partition(".")[0] not in inside
    }
    if not heads and labels:
        raise InputError(
            f"a {type(model).__name__} has no Linear layer with as many outputs as its {labels} labels: name its "
            "output layer with `remove`."
        )
    for name in heads.values():
        replace(model, name)


def reader(model: nn.Module) -> Read:
    """How to call the model: with pictures of any size where it can."""
    accepted = inspect.signature(model.forward).parameters
    extra = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}

    return lambda model, images: model(images, **extra)


def read_processor(transformers: Any, where: str, config: Any, place: Mapping[str, Any]) -> Any:
    """The checkpoint's image processor; None if it has none.

    Raises:
        ValueError: Transformers doesn't have the one that is named, and would take that of the model's kind.
        Exception: Whatever transformers says of one that it can't build.
    """
    written: dict[str, Any] = {}
    try:
        written = transformers.ImageProcessingMixin.get_image_processor_dict(where, **place)[0]
    except OSError as error:
        if is_offline(error):
            raise
        if getattr(config, "model_type", "") != "timm_wrapper":  # whose preprocessing is in the configuration
            return None
    made = transformers.AutoImageProcessor
    processor = made.from_pretrained(where, config=config, trust_remote_code=False, **place)
    named = written.get("image_processor_type") or written.get("feature_extractor_type")
    if named and _bare(named) != _bare(type(processor).__name__):
        raise ValueError(f"transformers has no {named}")
    return processor


def _bare(name: str) -> str:
    """The name of a processor whichever of its implementations it is, by its older names too."""
    return name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")


def own_input(
    transformers: Any, where: str, config: Any, label: str, place: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Input configuration, read off what the checkpoint's image processor makes of pictures of one colour."""
    vision = getattr(config, "vision_config", config)
    image_size = getattr(vision, "image_size", None) or 224
    own = {"channels": getattr(vision, "num_channels", None) or 3, "size": side(image_size)}
    try:
        processor = read_processor(transformers, where, config, place)
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
