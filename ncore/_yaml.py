"""YAML as it is meant: no key twice, which the last one would win in silence, and no name read as a number."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from ncore._validation import shown
from ncore.errors import InputError

__all__ = ["read_yaml", "read_yaml_file"]

# The forms of a number that YAML 1.1 and 1.2 read alike, and 1e3, which 1.1 takes for text. What else either of them
# takes for a number, such as 010 (8, or 10), 1_000 and 0b11, is refused: it may be a name.
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)$|0x[0-9a-fA-F]+$")
_REAL = re.compile(
    r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|(0|[1-9][0-9]*)(?=[eE]))([eE][-+]?[0-9]+)?$|[-+]?\.inf$|\.nan$", re.I
)
_UNCLEAR = re.compile(
    r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-f_]+|([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)(e[-+]?[0-9]+)?)$", re.I
)
_WHOLE_TAG, _REAL_TAG, _UNCLEAR_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "!unclear"
_KEPT = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "merge", "null"))


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a mapping with the same key twice, and what only looks like a number.

    Times, dates and ``=`` are text, as in YAML 1.2: YAML 1.1 makes 90 of ``1:30``.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if tag in _KEPT]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    text = str(loader.construct_scalar(node))
    if _WHOLE.match(text):
        return float(int(text, 0)) if node.tag == _REAL_TAG else int(text, 0)
    if _REAL.match(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    raise InputError(
        f"{shown(text)} in line {node.start_mark.line + 1} is not the same number to all that read YAML: put it in "
        "quotes if it is a name, and write a number in plain digits."
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: dict[Hashable, int] = {}
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        name = loader.construct_object(key, deep=True)
        line = key.start_mark.line + 1
        if not isinstance(name, Hashable):
            raise InputError(
                f"a key in line {line} is {shown(name)}, but a name was expected: put text that begins with a bracket "
                "in quotes."
            )
        if name in seen:
            raise InputError(f"the key {name!r} stands twice, in lines {seen[name]} and {line}: remove one of them.")
        seen[name] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


for _tag, _pattern in ((_WHOLE_TAG, _WHOLE), (_REAL_TAG, _REAL), (_UNCLEAR_TAG, _UNCLEAR)):
    _Loader.add_implicit_resolver(_tag, _pattern, list("-+.0123456789"))
    _Loader.add_constructor(_tag, _number)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(text: str, what: str) -> Any:
    """The values of a YAML text.

    Args:
        text: One document.
        what: It is called in errors.

    Raises:
        InputError: It is not YAML, has a key twice, or a number that not all read alike.

    Example:
        >>> read_yaml("{a: 1, b: [yes, 'no', 1:30, 1e3]}", "it")
        {'a': 1, 'b': [True, 'no', '1:30', 1000.0]}
    """
    try:
        return yaml.load(text, _Loader)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        # The last three are what constructors raise of explicit tags that don't fit, as in `!!bool maybe`.
        raise InputError(f"{what} is not valid YAML: {' '.join(str(error).split())}.") from error


def read_yaml_file(path: str | os.PathLike[str], what: str) -> tuple[Any, str]:
    """The values of a YAML file, and its text.

    Args:
        path: Of the file.
        what: It is called in errors.

    Raises:
        InputError: It cannot be read, or :func:`read_yaml` refuses it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} cannot be read: {error}.") from error
    return read_yaml(text, what), text
