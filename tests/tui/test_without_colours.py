"""What is told where there are no colours: the row under the cursor, and a button that is of no use now."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.strip import Strip

from tests.tui import sample
from tui.app import QgaTui
from tui.widgets.changing_button import ChangingButton
from tui.widgets.guest_rows import CURSOR, GuestRows


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def under_cursor(rows: GuestRows) -> list[int]:
    """The rows that a reader takes for the one under the cursor."""
    return [y for y in range(rows.row_count) if rows.render_line(y).text.startswith(CURSOR)]


async def test_a_sign_stands_before_the_guest_under_the_cursor_and_before_no_other() -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.pause()
        rows = app.screen.query_one(GuestRows)
        assert under_cursor(rows) == [0]
        await pilot.press("j", "j")
        assert under_cursor(rows) == [2]


class ButtonApp(App[None]):
    def compose(self) -> ComposeResult:
        yield ChangingButton("Start it", id="start", read_only=False)
        yield ChangingButton("Start it", id="never", read_only=True)


def words_of(app: App[None], selector: str) -> str:
    button = app.query_one(selector, ChangingButton)
    return Strip.join([button.render_line(y) for y in range(button.size.height)]).text.strip()


async def test_a_button_that_is_of_no_use_stands_in_brackets_until_it_is() -> None:
    app = ButtonApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        button = app.query_one("#start", ChangingButton)
        assert words_of(app, "#start") == "Start it"
        assert words_of(app, "#never") == "(Start it: not in read-only mode)"
        button.disabled = True
        await pilot.pause()
        assert words_of(app, "#start") == "(Start it)"
        button.disabled = False
        await pilot.pause()
        assert words_of(app, "#start") == "Start it"
