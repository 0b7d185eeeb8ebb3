"""What is written of a model: weights, how to build it, preprocessing, programs; each read again and compared."""

from __future__ import annotations

import copy
import importlib.util
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ncore.errors import InputError, NcoreError
from ncore.finish import standalone
from ncore.finish.architecture import backbone_of, head_of, network_of, state_of, write_configuration
from ncore.finish.exporting import check, runs_onnx, write_onnx, write_program
from ncore.finish.folder import FORMAT
from ncore.finish.preprocessing import Preprocessing
from ncore.probe.candidates import CandidateSpec

if TYPE_CHECKING:
    from ncore.probe.session import Session

__all__ = ["Written", "on_cpu", "write_model"]

_COMPARED = 32  # examples whose preprocessing is compared


@dataclass(frozen=True)
class Written:
    """What a folder holds.

    Attributes:
        loader: What ``load`` uses: "library" or "program".
        library: That builds the model, empty if none does.
        differences: The largest from the original, by what was compared.
        notes: What could not be written, and why, a sentence each.
    """

    loader: str
    library: str
    differences: dict[str, float]
    notes: list[str]


def on_cpu(model: nn.Module) -> nn.Module:
    """The model in evaluation mode on the CPU: itself where it is there already."""
    device = next(model.parameters()).device
    return (model if device.type == "cpu" else copy.deepcopy(model).cpu()).eval()


def write_model(
    folder: Path,
    session: Session,
    spec: CandidateSpec,
    preprocessing: Preprocessing,
    about: dict[str, Any],
    onnx: bool = False,
) -> Written:
    """Write a model so that it can be used without ncore.

    Args:
        folder: To write into, empty.
        session: With the model.
        spec: Of the candidate, its paths expanded.
        preprocessing: Of its examples.
        about: What ``model.json`` says besides.
        onnx: Write ONNX, too.

    Raises:
        InputError: It can be neither built by a library nor exported, or ONNX was asked for and can't be written.
        NcoreError: What was written differs from the original.
    """
    whole = on_cpu(session.model)
    rows = np.unique(np.linspace(0, len(preprocessing.labels) - 1, _COMPARED).astype(int)).tolist()
    inputs = preprocessing.inputs(rows)
    if len(rows) < 2:
        inputs = tuple(torch.cat([part, part]) for part in inputs)
    network, reading = network_of(whole, inputs)  # type: ignore[arg-type]
    how = backbone_of(spec, session.backbone) if reading else None
    save_file(dict(state_of(network)), folder / "model.safetensors", metadata={"format": "pt"})
    preprocessing.write(folder)
    source = Path(standalone.__path__[0])
    shutil.copyfile(source / "model.py", folder / "model.py")
    shutil.copymode(folder / "model.py", folder / "model.safetensors")  # which only its owner could read
    shutil.copyfile(source / f"{preprocessing.code}.py", folder / "preprocessing.py")
    if how is not None and how["library"] == "transformers":
        write_configuration(session.backbone, folder)
    code = _module(folder / "model.py")
    content = {"format": FORMAT, "version": 1, "loader": "library", "backbone": how, "head": head_of(whole[1])}  # type: ignore[index]
    content |= {"reading": reading or None, "classes": session.data.class_names, **about}
    (folder / "model.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    differences: dict[str, float] = {}
    notes: list[str] = []

    def compared(what: str, load: Callable[[], Callable[..., Tensor]]) -> str:
        """Empty, or why it is not what it should be."""
        try:
            differences[what] = check(whole, load(), inputs, what, preprocessing.varying)
        except Exception as error:  # PyTorch or a library may raise anything here
            return f"{type(error).__name__}: {_line(error)}" if not isinstance(error, NcoreError) else str(error)
        return ""

    def program() -> Callable[..., Tensor]:
        write_program(network, _few(inputs), folder / "model.pt2", preprocessing.varying)
        return code.exported(folder)

    def translated() -> Callable[..., Tensor]:
        write_onnx(network, _few(inputs), folder / "model.onnx", preprocessing.varying)
        return runs_onnx(folder / "model.onnx")

    no_program = compared("model.pt2", program)
    no_library = "" if how is None else compared("model.safetensors", lambda: code.build(folder))
    if no_program:
        (folder / "model.pt2").unlink(missing_ok=True)
        notes.append(f"There is no exported program, as PyTorch could not make one ({no_program}).")
    ours = how is not None and not how["module"]
    if no_program and how is not None and how["module"]:
        notes.append(f"The module {how['module']!r} has to be importable wherever it is loaded.")
    if how is None or no_library:
        if no_program:
            why = no_library or "no library builds it"
            raise InputError(
                f"{spec.name} can be neither built without ncore ({why}) nor exported ({no_program}): give it as a "
                "`python:` factory of a module that `torch.export` can follow."
            )
        if ours:
            notes.append(f"It is loaded as an exported program, as its library builds another model ({no_library}).")
        content |= {"loader": "program", "backbone": None}
        differences.pop("model.safetensors", None)
        shutil.rmtree(folder / "transformers", ignore_errors=True)
    elif not ours and not no_program:
        content["loader"] = "program"  # nothing of the user's own code is needed then
    if onnx and (no_onnx := compared("model.onnx", translated)):
        raise InputError(f"{spec.name} cannot be written as ONNX ({no_onnx}): leave out --onnx.")
    (folder / "model.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    library = (how["module"] or how["library"]) if how is not None and content["backbone"] is not None else ""
    packages = ["torch", "safetensors", *preprocessing.packages, *([library] if ours and library else [])]
    lines = [f"{name}>={version(name).partition('+')[0]}" for name in dict.fromkeys(packages)]
    text = f"# Python {platform.python_version()} was used.\n" + "\n".join(lines) + "\n"
    (folder / "requirements.txt").write_text(text, encoding="utf-8")
    _compare_preprocessing(code, folder, preprocessing, rows)
    return Written(str(content["loader"]), library, differences, notes)


def _compare_preprocessing(code: Any, folder: Path, preprocessing: Preprocessing, rows: Sequence[int]) -> None:
    """Whether the folder's own code gives the model exactly what it was given here."""
    classifier = code.load(folder)
    found, expected = classifier.preprocessing(preprocessing.raw(rows)), preprocessing.inputs(rows)
    if not all(torch.equal(one, other) for one, other in zip(found, expected, strict=True)):
        raise NcoreError(
            f"The preprocessing in {folder} gives a model other inputs than it was trained on, for some of {len(rows)} "
            f"test examples: this is a fault of ncore's, so nothing was written."
        )


def _few(inputs: tuple[Tensor, ...], count: int = 4) -> tuple[Tensor, ...]:
    """Some examples to export with."""
    return tuple(part[:count] for part in inputs)


def _module(path: Path) -> Any:
    """The code of a folder, as others import it."""
    spec = importlib.util.spec_from_file_location("ncore_finished_model", path)
    if spec is None or spec.loader is None:
        raise NcoreError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line(error: BaseException) -> str:
    """The first line of what went wrong."""
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[0][:200].rstrip(". ")
