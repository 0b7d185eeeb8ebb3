from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ncore_dashboard.text.plaintext import figure, markdown, plain, told_apart


def test_plain_is_one_visible_line() -> None:
    assert plain("a\n b\x00\u202ec\u2028d") == "a b c d"


@given(st.text(), st.integers(1, 40))
def test_plain_is_never_longer_than_asked(text: str, limit: int) -> None:
    assert len(plain(text, limit)) <= limit
    assert plain(plain(text)) == plain(text)


@given(st.text(alphabet="<>&b/%{}$x ", max_size=30))
def test_figures_get_no_tag_and_no_template(text: str) -> None:
    shown = figure(text)
    assert not re.search(r"<|>|%\{", shown)
    assert not shown.startswith("$")


def test_what_a_figure_shows_reads_as_the_text() -> None:
    assert figure("a < b & c") == "a &lt; b &amp; c"


@pytest.mark.parametrize("mark", list("\\`*_{}[]()<>#+-.!|~$:=@^&\"'/"))
def test_markdown_has_no_mark_left(mark: str) -> None:
    assert markdown(f"a{mark}b") == f"a\\{mark}b"


def test_labels_that_agree_are_told_apart() -> None:
    twice = {"0~a_1": "a", "1~a_1": "a", "0~b_2": "b"}
    assert told_apart(twice) == {"0~a_1": "a · 0~a_1", "1~a_1": "a · 1~a_1", "0~b_2": "b"}
    assert told_apart({}) == {}
