"""What a message names is there: commands with their options, modules, functions, arguments and extras.

They are collected from the source, so that a message that goes stale fails here and not at a user's desk.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import typer

from ncore.cli import app
from ncore.store import Store

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*(ROOT / "ncore").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")])
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SPAN = re.compile(r"``?((?:ncore|python -m) [^`]+)``?")


def text_of(node: ast.AST) -> str | None:
    """The text of a string, with X for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return None


def texts(tree: ast.AST) -> Iterator[str]:
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) not in inside and (text := text_of(node)) is not None:
            yield text


def raised(tree: ast.AST) -> Iterator[str]:
    """Texts of errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield from texts(node.exc)


def cases(collect: Callable[[ast.AST], Iterator[str]], pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    found = {(name, match) for name, tree in TREES.items() for text in collect(tree) for match in pattern.findall(text)}
    return sorted(found)


def options(command: object) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}  # type: ignore[attr-defined]


ALL_OPTIONS = {option for command in COMMANDS.values() for option in options(command)} | {"--debug", "--help"}


def parameters() -> set[str]:
    """Names of arguments and of fields of settings, anywhere in the package."""
    found = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


TORCH = (torch.nn.CrossEntropyLoss, torch.nn.BatchNorm2d)  # whose arguments messages name, too
PARAMETERS = parameters().union(*(inspect.signature(kind).parameters for kind in TORCH))


@pytest.mark.parametrize(("where", "span"), cases(texts, SPAN))
def test_commands_exist_with_their_options(where: str, span: str) -> None:
    words = span.split()
    if words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None, f"{where}: there is no module {words[2]}"
    if len(words) < 2 or words[0] != "ncore" or not words[1].islower():
        return
    assert words[1] in COMMANDS, f"{where}: there is no command `{span}`"
    for word in words[2:]:
        if word.startswith("-"):
            option = word.split("=")[0].strip(",.;:")
            assert option in options(COMMANDS[words[1]]), f"{where}: {words[1]} has no option {option}"


@pytest.mark.parametrize(("where", "option"), cases(raised, re.compile(r"(?<![\w-])--[a-z][a-z-]+")))
def test_options_in_errors_exist(where: str, option: str) -> None:
    assert option in ALL_OPTIONS, f"{where}: no command has the option {option}"


@pytest.mark.parametrize(("where", "name"), cases(raised, re.compile(r"(?<![\w\"'&?.-])([a-z]\w*)=(?=[\w\"'{\[(])")))
def test_arguments_in_errors_exist(where: str, name: str) -> None:
    assert name in PARAMETERS, f"{where}: nothing takes an argument {name}"


@pytest.mark.parametrize(("where", "name"), cases(raised, re.compile(r"\b(ncore(?:_dashboard)?\.[A-Za-z_][\w.]*\w)")))
def test_functions_in_errors_exist(where: str, name: str) -> None:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return


@pytest.mark.parametrize(("where", "name"), cases(raised, re.compile(r"\bstore\.([a-z_]+)")))
def test_methods_of_a_store_in_errors_exist(where: str, name: str) -> None:
    assert hasattr(Store, name), f"{where}: a store has no {name}"


def test_extras_in_errors_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        (where, node.args[1].value)
        for where, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MissingExtraError"
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    }
    assert named
    assert {extra for _, extra in named} <= set(extras), named


def test_something_is_looked_at() -> None:
    spans = [span for _, span in cases(texts, SPAN) if span.startswith("ncore ")]
    assert len(spans) > 20
    assert any("delete" in span for span in spans)
