"""Which keys have room in the last row."""

from tui.widgets.key_line import fitting


def test_a_key_is_shown_whole_or_not_at_all() -> None:
    assert fitting([5, 5, 5], 15) == 3
    assert fitting([5, 5, 5], 14) == 2
    assert fitting([5, 20, 1], 10) == 1
    assert fitting([], 0) == 0
    assert fitting([5], -1) == 0
