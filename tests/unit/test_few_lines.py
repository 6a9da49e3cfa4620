"""Texts that share a place of few lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from tui.widgets.few_lines import few_lines

LONG = "one two three four five six"


def drawn(*texts: str, width: int = 10, height: int = 3) -> list[str]:
    return few_lines([Text(text) for text in texts], width, height).plain.split("\n")


@pytest.mark.parametrize(
    ("texts", "height", "lines"),
    [
        (("one", "two"), 3, ["one", "two"]),
        ((LONG,), 3, ["one two ", "three four", "five six"]),
        ((LONG,), 2, ["one two ", "three fou…"]),
        ((LONG, "end"), 3, ["one two ", "three fou…", "end"]),
        (("head", LONG), 3, ["head", "one two ", "three fou…"]),
        ((LONG, LONG), 2, ["one two…", "one two…"]),
        (("head", "", "end"), 2, ["head", "end"]),
        (("a", "b", "c"), 2, ["a", "b"]),
    ],
)
def test_each_text_has_a_line_and_what_has_no_room_ends_in_an_ellipsis(
    texts: tuple[str, ...], height: int, lines: list[str]
) -> None:
    assert drawn(*texts, height=height) == lines


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=60), max_size=5), st.integers(2, 30))
def test_no_line_is_wider_and_none_more_than_there_is_room_for(texts: list[str], width: int) -> None:
    lines = drawn(*texts, width=width)
    assert len(lines) <= 3
    assert all(cell_len(line.rstrip()) <= width for line in lines)


def test_styles_are_kept() -> None:
    line = few_lines([Text(LONG, "bold")], 10, 1)
    assert line.plain == "one two…"
    assert [(span.start, span.end) for span in line.spans if span.style == "bold"] == [(0, 8)]
