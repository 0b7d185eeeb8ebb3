"""Weights from files: whole ones, those in several parts, and whether they are exactly the model's."""

from __future__ import annotations

import json
import pickle
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncore.errors import InputError
from ncore.probe._choices import first_line
from ncore.probe.sources.models import Loaded

__all__ = [
    "Misfits",
    "first_three",
    "kind_of",
    "load_exactly",
    "misfits",
    "quantised",
    "read_weights",
    "without_prefix",
]

_PLAIN = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PART = re.compile(r"-(\d+)-of-(\d+)$")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors from a .safetensors file, or from a .pt or .pth one with ``weights_only=True``.

    An index (``model.safetensors.index.json``, ``pytorch_model.bin.index.json``) stands for all files that it names.

    Raises:
        InputError: No such file, or one that holds anything else than tensors by name.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(
            f"the weights file {str(path)!r} {what}: give the path of a .safetensors file, or of the "
            ".safetensors.index.json of weights in several."
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if path.suffix == ".json":
            return _joined(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"the weights file {str(path)!r} holds objects that only unpickling could load, which is refused: "
            "save its state_dict() as safetensors."
        ) from error
    except Exception as error:
        raise InputError(f"the weights file {str(path)!r} cannot be read ({first_line(error)}).") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):  # a checkpoint of Lightning's
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"the weights file {str(path)!r} does not hold a plain state_dict: save one as safetensors.")
    return dict(state)


def _joined(index: Path) -> dict[str, torch.Tensor]:
    """The tensors of all files that an index names; all of them have to be there, and none besides."""
    content = json.loads(index.read_text(encoding="utf-8"))
    where = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(where, Mapping) or not all(isinstance(name, str) for name in where.values()):
        raise InputError(f"the weights file {str(index)!r} is no index of weights: it lacks `weight_map`.")
    state: dict[str, torch.Tensor] = {}
    for name in sorted(set(where.values())):
        if Path(name).name != name or name == index.name:
            raise InputError(f"the index {str(index)!r} names the file {name!r}, but files beside it were expected.")
        part = read_weights(index.parent / name)
        named = {key for key, file in where.items() if file == name}
        if named != set(part):
            lost, found = sorted(named - set(part)), sorted(set(part) - named)
            what = f"lacks {first_three(lost)}" if lost else f"holds {first_three(found)} besides"
            raise InputError(f"{name!r} {what}, but {str(index)!r} says what it holds: download both anew.")
        state |= part
    return state


def without_prefix(state: Mapping[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """``state`` without what wrappers put before each name: ``module.`` (DataParallel), ``model.`` (Lightning), ..."""
    own = model.state_dict()
    first = next(iter(own), "")
    before = [key.removesuffix(first) for key in state if key.endswith(f".{first}")]
    if own.keys() & state.keys() or len(before) != 1 or not all(key.startswith(before[0]) for key in state):
        return dict(state)
    return {key.removeprefix(before[0]): value for key, value in state.items()}


@dataclass(frozen=True)
class Misfits:
    """What keeps weights from being exactly a model's.

    Args:
        wrong: A phrase for each tensor of another shape or of another kind of numbers.
        missing: Names of the model's that are not among the weights.
        unexpected: Names of the weights that are not the model's.
    """

    wrong: Sequence[str] = ()
    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.wrong) + len(self.missing) + len(self.unexpected)

    def __str__(self) -> str:
        said = []
        if self.wrong:
            count = len(self.wrong)
            said.append("; ".join(self.wrong[:3]) + (f"; and {count - 3} more of {count} that differ" * (count > 3)))
        for names, one, many in (
            (self.missing, "is missing", "are missing"),
            (self.unexpected, "is not part of the model", "are not part of the model"),
        ):
            if len(names) == 1:
                said.append(f"{names[0]} {one}")
            elif names:
                said.append(f"{len(names)} tensors {many}: {first_three(names)}")
        return "; ".join(said)


def first_three(names: Sequence[str]) -> str:
    """Three names of a list, and how many more there are.

    Example:
        >>> first_three(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def kind_of(dtype: torch.dtype) -> str:
    """What numbers a type holds; only within a kind they can be taken for each other."""
    if dtype in _PLAIN:
        return "real"
    if dtype.is_complex:
        return "complex"
    if dtype.is_floating_point:
        return "short"  # 8 bits and fewer, which mean nothing without the scales that go with them
    return "truth" if dtype == torch.bool else "whole"


def quantised(key: str, found: object, expected: object = "float32") -> str:
    """Words for a tensor of numbers that aren't those that were trained."""
    return f"{key} holds {found}, as quantised weights do, instead of {expected}"


def misfits(state: Mapping[str, torch.Tensor], model: nn.Module) -> Misfits:
    """What keeps ``state`` from being exactly the model's."""
    own = model.state_dict()
    wrong = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    for key in own:
        if key in state and kind_of(state[key].dtype) != kind_of(own[key].dtype):
            real = kind_of(own[key].dtype) == "real" and kind_of(state[key].dtype) != "complex"
            wrong.append(
                quantised(key, state[key].dtype, own[key].dtype)
                if real
                else f"{key} holds {state[key].dtype} instead of {own[key].dtype}"
            )
    tied = _tied(own)
    for names in tied:
        there = [name for name in names if name in state]
        if differ := [name for name in there[1:] if not torch.equal(state[name], state[there[0]])]:
            wrong.append(f"{there[0]} and {differ[0]} differ, which are one tensor in the model")
    present = {name for names in tied if any(name in state for name in names) for name in names}
    # A batch norm's counter of batches is left out of many files, and nothing here uses it.
    missing = [
        key for key in own if key not in state and key not in present and not key.endswith("num_batches_tracked")
    ]
    return Misfits(wrong, missing, [key for key in state if key not in own])


def _tied(own: Mapping[str, torch.Tensor]) -> list[list[str]]:
    """Names of each tensor that has several."""
    names = defaultdict(list)
    for key, value in own.items():
        if value.numel() and value.device.type != "meta":
            names[value.data_ptr(), value.shape, value.stride()].append(key)
    return [group for group in names.values() if len(group) > 1]


def load_exactly(loaded: Loaded, path: Path, label: str) -> None:
    """Load a file into a model, whole or without its output layer, and take the output layer off.

    Raises:
        InputError: The file is neither; says how many tensors do not fit, and names the first.
    """
    state = without_prefix(read_weights(path), loaded.model)
    problems = misfits(state, loaded.model)
    if problems and loaded.remove is not None:
        loaded.remove(loaded.model)
        loaded.remove = None
        problems = min(problems, misfits(state, loaded.model), key=len)
    if problems:
        part = _PART.search(path.stem)
        remedy = "give the architecture and kwargs they were saved with"
        if part:
            remedy = f"they are part {int(part[1])} of {int(part[2])}, so give the .index.json beside them"
        raise InputError(f"the weights {str(path)!r} do not fit {label} ({problems}): {remedy}.")
    loaded.model.load_state_dict(state, strict=False)  # what may be missing is above
    if loaded.remove is not None:
        loaded.remove(loaded.model)
        loaded.remove = None
