"""Text that comes from runs (names, notes, reasons) is shown as it is: never as HTML, Markdown or LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

__all__ = ["figure", "markdown", "plain", "told_apart"]

#: Everything that Streamlit's Markdown gives a meaning: CommonMark and GFM punctuation, `$` (LaTeX), `:` (emoji, icons,
#: colours, bare links), and `.`, `)` after digits at the start (lists).
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:=@^&\"'/])")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: object, limit: int | None = None) -> str:
    r"""One line of visible characters: controls, line breaks and marks that reverse the direction become spaces.

    Args:
        text: What to show.
        limit: Longest length; what is longer ends with an ellipsis.

    Example:
        >>> plain("two\nlines\u202e", limit=6)
        'two l…'
    """
    shown = "".join(" " if unicodedata.category(letter) in _HIDDEN else letter for letter in str(text))
    shown = " ".join(shown.split())
    return shown if limit is None or len(shown) <= limit else shown[: max(limit - 1, 0)].rstrip() + "…"


def markdown(text: object, limit: int | None = None) -> str:
    r"""The text for a place that reads Markdown.

    Example:
        >>> markdown("**bold** :red[x]")
        '\\*\\*bold\\*\\* \\:red\\[x\\]'
    """
    return _MARKDOWN.sub(r"\\\1", plain(text, limit))


def figure(text: object, limit: int | None = None) -> str:
    r"""The text for a Plotly label, which reads a part of HTML, and templates such as ``%{x}``.

    Example:
        >>> figure("<b>x</b> %{y}")
        '&lt;b&gt;x&lt;/b&gt; %\u200b{y}'
    """
    shown = plain(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A zero-width space keeps Plotly from seeing a template, or LaTeX in a text between dollar signs.
    return re.sub(r"^\$", "\u200b$", shown.replace("%{", "%\u200b{"))


def told_apart(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels by key; those that agree get the end of their key, because a box returns the label that was chosen.

    Example:
        >>> told_apart({"0~a_s0_1f": "a, seed 0", "0~a_s0_2e": "a, seed 0", "0~b_s0_3d": "b, seed 0"})
        {'0~a_s0_1f': 'a, seed 0 · 1f', '0~a_s0_2e': 'a, seed 0 · 2e', '0~b_s0_3d': 'b, seed 0'}
    """
    number = Counter(labels.values())
    found = {
        key: f"{label} · {plain(key.rsplit('_', 1)[-1])}" if number[label] > 1 else label
        for key, label in labels.items()
    }
    if len(set(found.values())) < len(found):  # the same run in two stores
        return {key: f"{labels[key]} · {plain(key)}" if number[labels[key]] > 1 else labels[key] for key in labels}
    return found
