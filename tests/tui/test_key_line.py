"""The keys in the last row of the guest list, in the sizes people use."""

from __future__ import annotations

import pytest
from textual.widgets._footer import FooterKey

from tests.tui import sample
from tui.app import QgaTui
from tui.widgets.key_line import KeyLine

AT_80 = "x Console b Backup R Restore D Doctor p Power space Mark B Jobs q Quit ? Help"


def last_row(app: QgaTui, width: int) -> str:
    """The keys as they are drawn, each of which has to be whole."""
    keys = list(app.screen.query_one(KeyLine).query(FooterKey))
    assert all(key.region.right <= width for key in keys)
    return " ".join(f"{key.key_display} {key.description}" for key in keys)


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (40, "x Console b Backup q Quit ? Help"),
        (60, "x Console b Backup R Restore D Doctor p Power q Quit ? Help"),
        (80, AT_80),
        (120, AT_80.replace(" q ", " / Filter i Details V Verdicts r Ping q ")),
    ],
)
async def test_the_keys_that_are_needed_most_come_first_and_the_way_out_and_the_help_always(
    width: int, keys: str
) -> None:
    app = QgaTui(())
    async with app.run_test(size=(width, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.pause()
        await pilot.pause()
        assert last_row(app, width) == keys


async def test_where_a_question_mark_is_typed_the_other_key_for_help_is_shown() -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.press("slash")
        await pilot.pause()
        await pilot.pause()
        assert last_row(app, 80).endswith("f1 Help")
