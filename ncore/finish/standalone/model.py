"""Loads the model of this folder, with its own library where it has one, and classifies with it.

    from model import load

    classify = load(".")
    classify("example")  # {"one class": 0.93, "another": 0.07}

What it needs is in ``requirements.txt``; ncore, with which it was trained, is not needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["Classifier", "Network", "build", "exported", "load"]


class Network(nn.Module):
    """A backbone, whose output layer was taken off, and the head that was trained in place of it.

    Args:
        backbone: Of the model's library.
        head: From features (N, F) to logits (N, classes).
        arguments: By name, of every call of the backbone.
        output: Which of its outputs the features are, names and places joined by dots; empty if there is only one.
        mean: Axes of feature maps, or of tokens, that are averaged.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        arguments: Mapping[str, Any] | None = None,
        output: str = "",
        mean: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.arguments, self.output, self.mean = dict(arguments or {}), output, list(mean)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of what the preprocessing gives."""
        found: Any = self.backbone(*inputs, **self.arguments)
        for step in filter(None, self.output.split(".")):
            found = _part(found, step)
        if self.mean:
            found = found.mean(self.mean)
        return self.head(found)


class Classifier:
    """A model with its preprocessing and the names of its classes.

    Args:
        model: From prepared inputs to logits.
        preprocessing: From examples to inputs.
        classes: Their names, in the order of the logits.
        device: Where the model is.
    """

    def __init__(self, model: Any, preprocessing: Any, classes: Sequence[str], device: str | torch.device) -> None:
        self.model, self.preprocessing, self.classes, self.device = model, preprocessing, list(classes), device

    def __call__(self, examples: Any) -> Any:
        """Probabilities by class, the most probable first: of one example, or of each in a list of them."""
        several = isinstance(examples, list)
        rows = self.probabilities(examples if several else [examples]).tolist()
        found = [
            dict(sorted(zip(self.classes, row, strict=True), key=lambda pair: pair[1], reverse=True)) for row in rows
        ]
        return found if several else found[0]

    def probabilities(self, examples: Sequence[Any], batch: int = 64) -> torch.Tensor:
        """Of many examples, ``batch`` at a time: (N, classes), in the order of ``classes``."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(examples), batch):
                inputs = self.preprocessing(examples[start : start + batch])
                parts.append(self.model(*(part.to(self.device) for part in inputs)).softmax(1).cpu())
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))


def load(folder: str | Path | None = None, device: str | torch.device = "cpu", program: bool = False) -> Classifier:
    """The model of a folder, ready to classify.

    Args:
        folder: By default the one that this file is in.
        device: Where it computes, such as "cuda".
        program: Use the exported program, ``model.pt2``, which needs no library but PyTorch.
    """
    folder = Path(__file__).parent if folder is None else Path(folder)
    about = _read(folder, "model.json")
    model = exported(folder, device) if program or about["loader"] == "program" else build(folder).to(device)
    return Classifier(model, _module(folder, "preprocessing").Preprocessing(folder), about["classes"], device)


def exported(folder: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    """The exported program of a folder, as a module that can't be trained."""
    program = torch.export.load(Path(folder) / "model.pt2")
    if torch.device(device).type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    return program.module()


def build(folder: str | Path) -> Network:
    """The model of a folder as a module of its library, which can be trained on."""
    from safetensors.torch import load_file

    folder = Path(folder)
    about = _read(folder, "model.json")
    backbone = _backbone(about["backbone"], folder)
    head = nn.Sequential(*(getattr(nn, layer["kind"])(**layer["arguments"]) for layer in about["head"]))
    network = Network(backbone, head, **about["reading"]).float()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    return network.eval()


def _backbone(how: Mapping[str, Any], folder: Path) -> nn.Module:
    """Constructed without weights, and without what was taken off."""
    library, name, arguments = how["library"], how["name"], how["arguments"]
    found: Any
    if library == "timm":
        import timm

        found = timm.create_model(name, pretrained=False, **arguments)
    elif library == "torchvision":
        import torchvision

        found = torchvision.models.get_model(name, weights=None, **arguments)
    elif library == "transformers":
        import transformers

        config = transformers.AutoConfig.from_pretrained(folder / "transformers")
        config.return_dict = True
        kind = getattr(transformers, name)
        found = kind.from_config(config) if name.startswith("Auto") else kind(config)
    else:  # a function of a module that the user has
        found = getattr(importlib.import_module(how["module"]), name)(*how["positional"], **arguments)
    if how["part"]:
        found = getattr(found, how["part"])
    if how["reset"]:
        found.reset_classifier(0)
    for removed in how["removed"]:
        parent, _, leaf = removed.rpartition(".")
        setattr(found.get_submodule(parent), leaf, nn.Identity())
    for unused in how["unused"]:
        setattr(found, unused, None)
    return found


def _part(found: Any, step: str) -> Any:
    """One of several outputs, by name or by place."""
    if isinstance(found, Mapping):
        return found[step]
    return found[int(step)] if step.isdigit() else getattr(found, step)


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def _module(folder: Path, name: str) -> Any:
    """A module of the folder, whatever else has that name."""
    spec = importlib.util.spec_from_file_location(f"{name}_of_model", folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder / name}.py cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
