"""A shortlist of candidates to try, diverse in family and size, from what timm and torchvision say of their models.

Nothing is fetched: weights are neither loaded nor made, and parameters are counted on models without data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pandas as pd
import torch

from ncore.errors import InputError, MissingExtraError
from ncore.probe._choices import unknown
from ncore.probe.sources._offline import require
from ncore.probe.sources.candidate_spec import split_source
from ncore.store.limits import Limits

__all__ = ["COLUMNS", "HUB", "shortlist"]

COLUMNS = ("source", "family", "parameters", "input_size", "licence", "reason")
HUB = (
    "The Hugging Face hub was not asked. It would add fine-tuned and newer models as hf:ORG/NAME; look for those of "
    "your field under https://huggingface.co/models?pipeline_tag=image-classification."
)

_SIZES = (
    "zepto", "atto", "femto", "pico", "nano", "xxtiny", "xtiny", "tiny", "xxsmall", "xsmall", "small", "medium", "base",
    "large", "xlarge", "xxlarge", "huge", "giant", "gigantic",
)  # fmt: skip
_SPREAD, _DEFAULT = (1.0, 0.35, 0.12, 0.6, 0.2), 25e6
_BUILDS = 4  # models of a family that are built to come near a size


@dataclass(frozen=True)
class _Library:
    """What is asked of a library.

    Attributes:
        families: Names of models with weights for classes, by family.
        parameters: Counts those of a model.
        told: Input size, licence, and what else it says of a model.
    """

    families: dict[str, list[str]]
    parameters: Callable[[str], int]
    told: Callable[[str], tuple[int | None, str, str]]


def shortlist(like: str | None = None, under: Limits | None = None, count: int = 20) -> pd.DataFrame:
    """Candidates to try beside one that is known, or at all.

    Each is of another family, those of the most sets of weights first, and near one of several sizes up to that of
    ``like``, or the limit, so that small and large ones are compared.

    Args:
        like: ``timm:NAME`` or ``torchvision:NAME``; its family and size come first.
        under: What they may cost; what a run has to measure (``ms``, ``memory_mb``, ``multiply_adds``) is left to it.
        count: How many at most.

    Returns:
        Columns source, family, parameters, input_size, licence and reason; the first rows are what is most like it.

    Raises:
        InputError: There is no such model, or none is within the limits.
        MissingExtraError: Neither timm nor torchvision is installed.
    """
    libraries = _libraries()
    most = _most(under)
    reference, rows = None, []
    if like is not None:
        kind, name = split_source(like)
        if kind not in libraries:
            raise InputError(f"The model {like!r} must be one of {' or '.join(f'{one}:NAME' for one in libraries)}.")
        library = libraries[kind]
        family = next((family for family, names in library.families.items() if name in names), None)
        if family is None:
            known = [one for names in library.families.values() for one in names]
            raise unknown(f"a model of {kind} with weights for classes", name, known)
        reference = library.parameters(name)
        if reference <= most:
            rows.append(_row(kind, library, family, name, reference, "the model that was asked for"))
        smaller = _near(library, library.families[family], min(reference, most) / 3, most, {name})
        if smaller is not None:
            rows.append(_row(kind, library, family, *smaller, f"of the same family as {name}, in another size"))
    largest = min(most, reference or _DEFAULT)
    seen = {row["family"] for row in rows}
    for place, (kind, family) in enumerate(_in_order(libraries)[: 3 * count + 10]):
        if len(rows) >= count:
            break
        if family in seen:
            continue
        library, target = libraries[kind], largest * _SPREAD[place % len(_SPREAD)]
        found = _near(library, library.families[family], target, most, set())
        # A family that has nothing near is no other size of what is compared, but another league.
        if found is None or not 1 / 8 < found[1] / target < 8:
            continue
        seen.add(family)
        weights = f"{len(library.families[family])} models of it in {kind}"
        rows.append(
            _row(kind, library, family, *found, f"another family ({weights}), near {_short(target)} parameters")
        )
    if not rows:
        raise InputError(f"No model that was looked at is under {under}: allow more.")
    return pd.DataFrame(rows[:count], columns=list(COLUMNS))


def _most(under: Limits | None) -> float:
    """Parameters that the limits allow; of four bytes each."""
    if under is None:
        return math.inf
    return min(under.params or math.inf, (under.mb or math.inf) * 1e6 / 4)


def _row(kind: str, library: _Library, family: str, name: str, parameters: int, reason: str) -> dict[str, Any]:
    size, licence, told = library.told(name)
    return {
        "source": f"{kind}:{name}",
        "family": family,
        "parameters": parameters,
        "input_size": size,
        "licence": licence,
        "reason": f"{reason}; {told}" if told else reason,
    }


def _in_order(libraries: dict[str, _Library]) -> list[tuple[str, str]]:
    """Families, those with the most models first; one that both libraries have is the first's."""
    found: dict[str, tuple[int, str]] = {}
    for kind, library in libraries.items():
        for family, names in library.families.items():
            found.setdefault(_plain(family), (len(names), f"{kind}:{family}"))
    ordered = sorted(found.values(), key=lambda one: (-one[0], one[1]))
    return [(kind, family) for _, source in ordered for kind, _, family in [source.partition(":")]]


def _plain(family: str) -> str:
    """As both libraries would spell it."""
    letters = re.sub(r"[^a-z0-9]", "", family.lower())
    return {"swin": "swin", "visiontransformer": "vit"}.get(letters.replace("transformer", ""), letters)


def _near(
    library: _Library, names: Iterable[str], target: float, most: float, without: set[str]
) -> tuple[str, int] | None:
    """The model of a family nearest to a size, as far as a few that are built tell, and how many parameters it has."""
    names = sorted(set(names) - without, key=_size_of)
    low, high, best = 0, len(names) - 1, None
    for _ in range(_BUILDS):
        if low > high:
            break
        middle = (low + high) // 2
        parameters = library.parameters(names[middle])
        if 0 < parameters <= most and (
            best is None or abs(math.log(parameters / target)) < abs(math.log(best[1] / target))
        ):
            best = names[middle], parameters
        if parameters > target:
            high = middle - 1
        else:
            low = middle + 1
    return best


def _size_of(name: str) -> tuple[Any, ...]:
    """Orders models of a family about by size: by what they are called, then by their numbers."""
    words = re.split(r"[_.]", name)
    word = next((_SIZES.index(one) for one in words if one in _SIZES), len(_SIZES))
    return word, [int(number) for number in re.findall(r"\d+", name)], name


def _short(number: float) -> str:
    return f"{number / 1e6:.3g}M"


def _libraries() -> dict[str, _Library]:
    found: dict[str, _Library] = {}
    problem: MissingExtraError | None = None
    for kind, make in (("timm", _timm), ("torchvision", _torchvision)):
        try:
            found[kind] = make()
        except MissingExtraError as error:
            problem = error
    if not found and problem is not None:
        raise problem
    return found


@lru_cache(maxsize=1)
def _timm() -> _Library:
    timm = require("timm", "timm", "a shortlist of its models")

    def config(name: str) -> Any:
        return timm.get_pretrained_cfg(name)

    families = {}
    for module in timm.list_modules():
        names = {tagged.partition(".")[0] for tagged in timm.list_models(module=module, pretrained=True)}
        if usable := sorted(name for name in names if (found := config(name)) is not None and found.num_classes > 0):
            families[module] = usable

    def told(name: str) -> tuple[int | None, str, str]:
        found = config(name)
        licence = str(found.license or "not said")
        warning = "its weights are not for commercial use" if re.search(r"\bnc\b|non-?commercial", licence) else ""
        return (
            found.input_size[-1],
            licence,
            "; ".join(filter(None, (f"weights {found.tag}" if found.tag else "", warning))),
        )

    @cache
    def parameters(name: str) -> int:
        try:
            with torch.device("meta"):
                return sum(parameter.numel() for parameter in timm.create_model(name).parameters())
        except Exception:  # one that can't be built without data is left out
            return 0

    return _Library(families, parameters, told)


@lru_cache(maxsize=1)
def _torchvision() -> _Library:
    models = require("torchvision", "torchvision", "a shortlist of its models").models
    families: dict[str, list[str]] = {}
    for name in models.list_models(module=models):
        family = models.get_model_builder(name).__module__.rpartition(".")[2]
        families.setdefault(family, []).append(name)

    def meta(name: str) -> dict[str, Any]:
        return dict(models.get_model_weights(name).DEFAULT.meta)

    def told(name: str) -> tuple[int | None, str, str]:
        weights = models.get_model_weights(name).DEFAULT
        accuracy = weights.meta["_metrics"].get("ImageNet-1K", {}).get("acc@1")
        said = f"{accuracy:.1f}% on ImageNet in {weights.meta['_ops']:.2g} billion multiply-adds" if accuracy else ""
        crop = getattr(weights.transforms, "keywords", {}).get("crop_size")
        return crop, str(weights.meta.get("license", "not said")), said

    return _Library(families, lambda name: int(meta(name)["num_params"]), told)
