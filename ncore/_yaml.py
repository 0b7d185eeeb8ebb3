"""YAML as it is meant: no key twice, which the last one would win in silence."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ncore.errors import InputError

__all__ = ["read_yaml", "read_yaml_file"]


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a mapping with the same key twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: dict[Hashable, int] = {}
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        name = loader.construct_object(key, deep=True)
        line = key.start_mark.line + 1
        if name in seen:
            raise InputError(f"the key {name!r} stands twice, in lines {seen[name]} and {line}: remove one of them.")
        seen[name] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(text: str, what: str) -> Any:
    """The values of a YAML text.

    Args:
        text: One document.
        what: It is called in errors.

    Raises:
        InputError: It is not YAML, or has a key twice.

    Example:
        >>> read_yaml("{a: 1, b: [yes, 'no']}", "it")
        {'a': 1, 'b': [True, 'no']}
    """
    try:
        return yaml.load(text, _Loader)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{what} is not valid YAML: {' '.join(str(error).split())}.") from error


def read_yaml_file(path: str | os.PathLike[str], what: str) -> tuple[Any, str]:
    """The values of a YAML file, and its text.

    Args:
        path: Of the file.
        what: It is called in errors.

    Raises:
        InputError: It cannot be read, is not YAML, or has a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} cannot be read: {error}.") from error
    return read_yaml(text, what), text
