"""The view of a command's output: it follows the end until the user scrolls up, and again from the end on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tui.agent.exec_model import Stream
from tui.console import search
from tui.console.transcript import BLOCK, Entry, OutputLine, Transcript
from tui.model.text import coloured, printable
from tui.widgets.output_view import GUTTER_WIDTH, OutputView


class ViewApp(App[None]):
    """Nothing but the view of a transcript."""

    def __init__(self) -> None:
        super().__init__()
        self.transcript = Transcript()

    def compose(self) -> ComposeResult:
        yield OutputView()

    def on_mount(self) -> None:
        self.query_one(OutputView).show(self.transcript)

    def write(self, entries: Iterable[Entry]) -> None:
        self.transcript.extend(entries)
        self.query_one(OutputView).grown(())


def lines(first: int, last: int, width: int = 4) -> Iterator[Entry]:
    return (OutputLine(1, Stream.STDOUT, printable(f"{number:0{width}}")) for number in range(first, last + 1))


def last_row(view: OutputView) -> str:
    return view.render_line(view.scrollable_content_region.height - 1).text.strip()


def upwards(view: OutputView) -> list[str]:
    return [view.render_line(y).text.strip() for y in range(view.scrollable_content_region.height - 1, -1, -1)]


@pytest.mark.parametrize("width", [4, 100])
async def test_it_follows_from_the_first_line_past_the_bottom_and_after_the_scrollbar_came(width: int) -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        for start in range(1, 60):
            app.write(lines(start, start, width))
            await pilot.pause()
        assert last_row(view).endswith("59")


async def test_who_scrolls_up_stays_there_and_who_returns_to_the_end_follows_again() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        app.write(lines(1, 50))
        await pilot.pause()
        view.scroll_relative(y=-20, animate=False)
        await pilot.pause()
        seen = last_row(view)
        app.write(lines(51, 60))
        await pilot.pause()
        assert last_row(view) == seen
        view.scroll_end(animate=False)
        await pilot.pause()
        app.write(lines(61, 70))
        await pilot.pause()
        assert last_row(view) == "0070"


async def test_it_follows_through_a_resize() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(OutputView)
        app.write(lines(1, 50, 50))
        await pilot.pause()
        await pilot.resize_terminal(40, 8)
        await pilot.pause()
        assert last_row(view).endswith("50")


async def test_very_many_lines_are_scrolled_searched_and_wrapped() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        app.write(lines(1, 200_000, 7))
        await pilot.pause()
        assert last_row(view) == "0200000"
        found = await search.find(app.transcript, "0100000", app.transcript.total, backwards=True)
        assert found == 99_999
        view.go_to(found)
        await pilot.pause()
        shown = [view.render_line(y).text.strip() for y in range(10)]
        assert "0100000" in shown
        view.scroll_home(animate=False)
        await pilot.pause()
        assert view.render_line(0).text.strip() == "0000001"


async def test_colours_reach_the_screen_as_styles_and_wide_lines_are_wrapped_whole() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        wide = "後" * 100
        texts = ["\x1b[1;31mred\x1b[0m plain \x1b[38;5;9999;mx", wide]
        app.write(OutputLine(1, Stream.STDOUT, coloured(text)) for text in texts)
        await pilot.pause()
        rows = [view.render_line(y) for y in range(10)]
        assert rows[0].text.strip() == "red plain x"
        assert any(part.style and part.style.bold and part.text == "red" for part in rows[0])
        assert "".join(row.text.strip() for row in rows[1:]) == wide


class CountedTranscript(Transcript):
    """Notes which blocks are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[int] = set()

    def block(self, number: int) -> tuple[Entry, ...]:
        self.read.add(number)
        return super().block(number)


async def test_a_view_that_opens_reads_what_is_in_sight_and_the_rest_behind_it() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        transcript = CountedTranscript()
        transcript.extend(lines(1, 100 * BLOCK, 150))
        transcript.read.clear()
        view.show(transcript)
        assert len(transcript.read) <= 3
        assert last_row(view).endswith(str(100 * BLOCK))
        await pilot.pause()
        assert last_row(view).endswith(str(100 * BLOCK))
        await until_measured(pilot, view)
        assert view.virtual_size.height == 3 * 100 * BLOCK
        assert last_row(view).endswith(str(100 * BLOCK))


async def test_what_was_measured_is_not_read_again_by_the_next_view() -> None:
    app, transcript = ViewApp(), CountedTranscript()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        transcript.extend(lines(1, 40 * BLOCK, 150))
        view.show(transcript)
        await until_measured(pilot, view)
    again = ViewApp()
    async with again.run_test(size=(80, 10)) as pilot:
        transcript.read.clear()
        view = again.query_one(OutputView)
        view.show(transcript)
        await until_measured(pilot, view)
        assert len(transcript.read) <= 3
        assert view.virtual_size.height == 2 * 40 * BLOCK


async def test_lines_that_were_not_measured_are_scrolled_through_one_by_one() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.query_one(OutputView)
        transcript = Transcript()
        width = view.scrollable_content_region.width - GUTTER_WIDTH
        transcript.extend(
            OutputLine(1, Stream.STDOUT, printable(3 * f"{number:0{width}}")) for number in range(1, 20 * BLOCK + 1)
        )
        view.show(transcript)
        seen = upwards(view)
        for _ in range(900):
            view.scroll_relative(y=-9, animate=False, immediate=True)
            seen += upwards(view)[1:]
        numbers = [int(each) for each in seen]
        steps = [above - below for below, above in pairwise(numbers)]
        assert numbers[0] == 20 * BLOCK
        assert set(steps) == {0, -1}
        assert max(len(list(same)) for _, same in groupby(numbers)) == 3
        assert numbers[-1] < 18 * BLOCK
        seen_row = view.render_line(0).text
        await until_measured(pilot, view)
        assert view.render_line(0).text == seen_row
        view.scroll_home(animate=False)
        await pilot.pause()
        assert int(view.render_line(0).text) == 1


async def until_measured(pilot: Pilot[None], view: OutputView) -> None:
    async with asyncio.timeout(30):
        while view.is_measuring:
            await pilot.pause()
