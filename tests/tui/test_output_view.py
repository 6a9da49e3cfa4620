"""The view of a command's output: it follows the end until the user scrolls up, and again from the end on."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tui.model.text import printable
from tui.widgets.output_view import LineKind, OutputView, ViewLine


class ViewApp(App[None]):
    """Nothing but the view."""

    def compose(self) -> ComposeResult:
        yield OutputView()


def lines(first: int, last: int, width: int = 4) -> list[ViewLine]:
    return [ViewLine(LineKind.STDOUT, printable(f"{number:0{width}}")) for number in range(first, last + 1)]


def last_row(view: OutputView) -> str:
    return view.render_line(view.scrollable_content_region.height - 1).text.strip()


@pytest.mark.parametrize("width", [4, 100])
async def test_it_follows_from_the_first_line_past_the_bottom_and_after_the_scrollbar_came(width: int) -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        for start in range(1, 60):
            view.extend(lines(start, start, width))
            await pilot.pause()
        assert last_row(view).endswith("59")


async def test_who_scrolls_up_stays_there_and_who_returns_to_the_end_follows_again() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        view.extend(lines(1, 50))
        await pilot.pause()
        view.scroll_relative(y=-20, animate=False)
        await pilot.pause()
        seen = last_row(view)
        view.extend(lines(51, 60))
        await pilot.pause()
        assert last_row(view) == seen
        view.scroll_end(animate=False)
        await pilot.pause()
        view.extend(lines(61, 70))
        await pilot.pause()
        assert last_row(view) == "0070"


async def test_it_follows_through_a_resize() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(OutputView)
        view.extend(lines(1, 50, 50))
        await pilot.pause()
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert last_row(view).endswith("50")
