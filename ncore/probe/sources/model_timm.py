"""``timm:NAME``: any model of timm, its weights from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import unknown
from ncore.probe.sources._cached import in_hub_cache, in_torch_cache
from ncore.probe.sources._measured import measure
from ncore.probe.sources._offline import fetching, hub, require
from ncore.probe.sources.models import Loaded, Request, remove_timm

__all__ = ["ADVICE", "ELSEWHERE", "arguments", "cached_weights", "load", "local_folder", "own_input"]

ADVICE = "give a file with `source: file:PATH`, or set `pretrained: false`"

ELSEWHERE = {"pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
"""``kwargs`` with which timm takes weights from where only it knows."""


def load(request: Request) -> Loaded:
    """Build a timm model, pretrained or not.

    timm itself reads safetensors where they exist and else ``torch.load(weights_only=True)``.

    Raises:
        MissingExtraError: timm is not installed.
        OfflineError: The weights are neither cached nor reachable.
        InputError: An unknown name or tag, or a constructor that refuses its arguments.
    """
    timm = require("timm", "timm", f"the candidate {request.label}")
    if ":" not in request.name and not timm.is_model(request.name):  # "hf-hub:ORG/NAME" is timm's to resolve
        raise unknown("a model of timm", request.name, timm.list_models())
    kwargs = arguments(request)
    online = request.pretrained or ":" in request.name
    with hub(request.label, ADVICE) if online else fetching(request.label, "the hub", ADVICE):
        model = timm.create_model(request.name, pretrained=request.pretrained, **kwargs)
    has_head = hasattr(model, "reset_classifier")  # what gives the features of its stages has none
    return Loaded(model, own_input(model, kwargs.get("in_chans")), remove_timm if has_head else None)


def arguments(request: Request) -> dict[str, Any]:
    """What the model is constructed with beside its name and its weights."""
    import timm

    kwargs = dict(request.kwargs)
    with fetching(request.label, "the hub", ADVICE):
        config = timm.get_pretrained_cfg(request.name) if ":" not in request.name else None
    fixed = config.input_size[-1] if config is not None and config.fixed_input_size else request.size
    if request.size != fixed and request.size is not None:
        kwargs.setdefault("img_size", request.size)  # a transformer's position embedding is resampled by timm
    return kwargs


def local_folder(name: str) -> Path | None:
    """The folder that a name of timm's is, if it is one."""
    kind, _, rest = name.partition(":")
    return Path(rest) if kind.lower().replace("_", "-") == "local-dir" else None


def cached_weights(name: str, kwargs: Mapping[str, Any]) -> list[Path]:
    """Files that the weights of a model may be loaded from, those that are there."""
    timm = require("timm", "timm", "its weights")
    if kwargs.keys() & ELSEWHERE:
        return []
    _, colon, identifier = name.partition(":")
    if not colon:
        config = timm.get_pretrained_cfg(name)
        if not config.hf_hub_id:
            file = in_torch_cache(config.url)
            return [file] if file.is_file() else []
        identifier = config.hf_hub_id
    repository, _, revision = identifier.partition("@")
    return in_hub_cache(repository, revision or None)


def own_input(model: nn.Module, channels: int | None = None) -> dict[str, Any]:
    """Input configuration of a timm model, read off the transform that timm makes for it."""
    import timm

    config = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**config, is_training=False)
    own = {"size": min(config["input_size"][1:]), "interpolation": config["interpolation"]}
    grey = len(config["mean"]) == 1
    try:
        found = measure(
            transform,
            type(model).__name__,
            grey=grey,
            stated={key: config[key] for key in ("mean", "std", "crop_pct")},
        )
    except InputError as error:
        return {**own, "channels": channels or config["input_size"][0], "refusal": str(error)}
    return {**own, **found, "channels": channels or config["input_size"][0], "source": "weights' transforms"}
