"""``torchvision:NAME``: the classification models of torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ncore.errors import InputError, OfflineError
from ncore.probe._choices import unknown
from ncore.probe.sources._cached import in_torch_cache
from ncore.probe.sources._measured import measure
from ncore.probe.sources._offline import fetching, reachable, require
from ncore.probe.sources.models import Loaded, Request, remove_last_linear

__all__ = [
    "ADVICE",
    "IMAGENET_INPUT",
    "QUICK",
    "cached_weights",
    "choose_weights",
    "fetch_safely",
    "load",
    "own_input",
]

ADVICE = "give a file with `source: file:PATH`, or set `pretrained: false`"
IMAGENET_INPUT = {
    "channels": 3,
    "size": 224,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bilinear",
}
# Their initialisation from a truncated normal takes half a minute and warns; weights replace it anyway.
QUICK = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}


def load(request: Request) -> Loaded:
    """Build a torchvision model, pretrained or not; ``kwargs: {weights: NAME}`` chooses other than the default ones.

    Raises:
        MissingExtraError: Torchvision is not installed.
        OfflineError: The weights are neither cached nor reachable.
        InputError: An unknown name, or a constructor that refuses its arguments.
    """
    torchvision = require("torchvision", "torchvision", f"the candidate {request.label}")
    models = torchvision.models
    names = models.list_models(module=models)
    if request.name not in names:
        raise unknown("a classification model of torchvision", request.name, names)
    kwargs = {**QUICK.get(request.name, {}), **request.kwargs}
    weights = choose_weights(request.name, kwargs.pop("weights", "DEFAULT"))
    with fetching(request.label, "https://download.pytorch.org", ADVICE):
        if request.pretrained:
            fetch_safely(weights, request.label)
            kwargs.pop("init_weights", None)
        model = models.get_model(request.name, weights=weights if request.pretrained else None, **kwargs)
    return Loaded(model, own_input(weights), remove_last_linear)


def choose_weights(model: str, name: str) -> Any:
    """A member of the model's weights enumeration, by name (``DEFAULT``, ``IMAGENET1K_V2``, ...)."""
    import torchvision

    members = torchvision.models.get_model_weights(model)
    if name not in members.__members__:
        raise unknown(f"a set of weights of torchvision's {model}", name, members.__members__)
    return members[name]


def fetch_safely(weights: Any, label: str) -> None:
    """Download weights and read them once with ``weights_only=True``.

    torchvision's constructors read the same cached file again with plain unpickling, which by then is known to hold
    nothing but tensors.
    """
    parts = urlparse(weights.url)
    host = f"{parts.scheme}://{parts.netloc}"
    if not in_torch_cache(weights.url).exists() and not reachable(host):
        raise OfflineError(
            f"{label} is not in the local cache and {host} cannot be reached: connect once so that it is cached, "
            f"or {ADVICE}."
        )
    weights.get_state_dict(progress=False, check_hash=True, weights_only=True)


def cached_weights(name: str, kwargs: Mapping[str, Any]) -> list[Path]:
    """The file that the weights of a model would be loaded from, if it is there."""
    file = in_torch_cache(choose_weights(name, kwargs.get("weights", "DEFAULT")).url)
    return [file] if file.is_file() else []


def own_input(weights: Any) -> dict[str, Any]:
    """Input configuration of a member of a weights enumeration.

    Raises:
        InputError: Its transforms are not those of an image classifier.
    """
    preset = weights.transforms()
    if not hasattr(preset, "crop_size"):
        raise InputError(f"the weights {weights} are not those of an image classifier: choose others.")
    own = {"channels": len(preset.mean), "size": preset.crop_size[0], "interpolation": preset.interpolation.value}
    try:
        found = measure(preset, str(weights), grey=False, stated={"mean": preset.mean, "std": preset.std})
    except InputError as error:
        return {**own, "refusal": str(error)}
    return {**own, **found, "source": "weights' transforms"}
