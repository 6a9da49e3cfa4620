import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.model.text import REPLACEMENT, SHOWN_LIMIT, coloured, printable


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_comes_in_only_printable_characters_come_out(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    assert len(shown) == min(len(text), SHOWN_LIMIT)


def test_escapes_c1_and_direction_overrides_lose_their_power() -> None:
    assert printable("a\x1b]0;title\x07\x9b2J\u202eb\u200d\ud800") == "a\ufffd]0;title\ufffd\ufffd2J\ufffdb\ufffd\ufffd"


def test_long_lines_are_cut_visibly() -> None:
    assert printable("x" * 10, limit=4) == "xxx…"


@pytest.mark.parametrize("head", ["\x90", "\x98", "\x9d", "\x9e", "\x9f"])
def test_the_search_for_a_control_strings_end_stops_at_the_next_head(head: str) -> None:
    """What is between two heads is read once, however many of them nobody ended: only the last one is taken out."""
    unended = SHOWN_LIMIT - 1
    assert coloured(f"{head}x" * unended + f"{head}y\x9cz") == f"{REPLACEMENT}x" * unended + "z"
