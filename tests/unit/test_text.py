from hypothesis import given
from hypothesis import strategies as st

from tui.model.text import SHOWN_LIMIT, printable


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
