"""One command in many guests: a row each, grouped where asked for, and any of them to be opened."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Static

from tui.console.entry import in_one_line
from tui.console.many import ManyRun
from tui.model.command import Where
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.scrollback import ScrollbackScreen
from tui.widgets.bindings import bindings
from tui.widgets.held_keys import release_keys
from tui.widgets.key_line import KeyLine
from tui.widgets.many_text import TONES, ManyLine, lines_each, lines_grouped, summary
from tui.widgets.output_view import OutputView
from tui.widgets.tones import styles_of

REPAINT_S = 0.1
COLUMNS = (("", 1), ("GUEST", 16), ("RESULT", 12), ("TIME", 6))
"""Titles and cells of all columns but the last line's."""
PADDING = 2
"""Cells of the table around each column."""
LEAST_OF_LAST = 10


OF_ONE = frozenset({"copy", "save", "search", "search_on"})
"""Actions on the output of the guest that is opened."""


class ManyScreen(ScrollbackScreen):
    """Starts the run and shows it; leaving it ends the run, after a question."""

    WHERE = Where.MANY
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.MANY, priority=True)
    HELP = (
        "One command in several guests. ✗ marks every guest in which it did not end with exit 0. Grouped, guests with "
        "the same output and the same end stand in one line: enter lists them. In the output of an opened guest, ^f "
        "searches, F3 goes on, ^y copies and ^s saves."
    )

    def __init__(self, run: ManyRun) -> None:
        super().__init__(run.scrollbacks[0], run.rows[0].name)
        self._run = run
        self._grouped = False
        self._opened: int | None = None
        self._unfolded: frozenset[int] = frozenset()
        self._lines: list[ManyLine] = []
        self._has_new_width = False

    def compose(self) -> ComposeResult:
        """Summary, rows, one guest's output."""
        yield Static(id="summary")
        yield DataTable[Text](cursor_type="row", id="rows")
        yield OutputView()
        yield Static(id="detail")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin."""
        self.view.display = False
        release_keys(self)
        self.query_one("#rows").focus()
        self.set_interval(REPAINT_S, self._draw)
        self._begin()

    @work
    async def _begin(self) -> None:
        await self._run.run()
        self._draw()

    def on_resize(self) -> None:
        """Give the last line what is left of the width."""
        self._has_new_width = True
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        rows, now = self._run.rows, time.monotonic()
        lines = lines_grouped(rows, self._unfolded, now) if self._grouped else lines_each(rows, now)
        styles = styles_of(self.app.theme_variables)
        if self._opened is not None:
            self.view.grown(self.scrollback.open_lines)
        elif lines != self._lines or self._has_new_width:
            self._fill(lines, styles)
        room = self.size.width - 2
        self.query_one("#summary", Static).update(summary(in_one_line(self._run.line), rows, room, styles))
        self._draw_detail()

    def _fill(self, lines: list[ManyLine], styles: Mapping[str, str]) -> None:
        """Show other lines, with the cursor on the guests on which it was."""
        table = self.query_one("#rows", DataTable)
        cursor = _found_again(self._under_cursor, lines, table.cursor_row)
        table.clear(columns=True)
        room = self.size.width - sum(cells + PADDING for _, cells in COLUMNS) - PADDING
        for title, cells in (*COLUMNS, ("LAST LINE", max(LEAST_OF_LAST, room))):
            table.add_column(title, width=cells)
        for line in lines:
            style, last = styles[TONES[line.state]], len(line.cells) - 1
            table.add_row(
                *(
                    Text(printable(cell), "" if place == last else style, no_wrap=True, overflow="ellipsis")
                    for place, cell in enumerate(line.cells)
                )
            )
        self._lines, self._has_new_width = lines, False
        table.move_cursor(row=cursor)

    @property
    def _under_cursor(self) -> ManyLine | None:
        cursor = self.query_one("#rows", DataTable).cursor_row
        return self._lines[cursor] if 0 <= cursor < len(self._lines) else None

    @on(DataTable.RowHighlighted)
    def _draw_detail(self) -> None:
        opened = self._opened
        line = self._under_cursor if opened is None else lines_each(self._run.rows, 0.0)[opened]
        self.query_one("#detail", Static).update(Text(printable(line.said) if line is not None else ""))

    def action_open(self) -> None:
        """Show one guest's output or a group's guests, or close them again."""
        line = self._under_cursor
        if self._opened is not None:
            self._show(None)
        elif line is not None and line.is_group:
            kept = self._unfolded.difference(line.places)
            self._unfolded = kept if kept != self._unfolded else kept | {line.places[0]}
        elif line is not None:
            self._show(line.places[0])
        self._draw()

    def _show(self, place: int | None) -> None:
        """Show the output of the guest at that place, None for the rows."""
        table, view = self.query_one("#rows", DataTable), self.view
        self._opened = place
        if place is not None:
            self.take(self._run.scrollbacks[place], self._run.rows[place].name)
            view.term = ""
            view.show(self.scrollback.transcript)
        view.display, table.display = place is not None, place is None
        (view if place is not None else table).focus()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is done with output needs an opened guest."""
        if action in OF_ONE:
            return self._opened is not None
        return super().check_action(action, parameters)

    def action_group(self) -> None:
        """Group by what came out, or list each."""
        self._grouped = not self._grouped
        self._draw()

    async def action_cancel(self) -> None:
        """Copy the selection if there is one, else end it everywhere."""
        if not await self.copied(self.get_selected_text() or "") and not self._run.is_over:
            self._run.cancel()
            self.notify("Ending the command in all guests …", markup=False)

    @work
    async def action_back(self) -> None:
        """Back to the rows, then to the list."""
        if self._opened is not None:
            self.action_open()
        else:
            await self.leave()

    async def leave(self) -> None:
        """To the list; what runs is ended, after a question."""
        if not self._run.is_over:
            question = ConfirmScreen(
                printable("The command still runs. End it in all guests?"),
                printable("Its output is lost when you leave."),
                yes=printable("End it and leave"),
                no=printable("Stay"),
            )
            if not await self.app.push_screen_wait(question):
                return
            self._run.cancel()
        self.dismiss()


def _found_again(line: ManyLine | None, lines: Sequence[ManyLine], otherwise: int) -> int:
    """Where the guests of a line stand among other lines: as one more of its kind, else wherever they are."""
    if line is not None:
        holding = [number for number, other in enumerate(lines) if line.places[0] in other.places]
        alike = [number for number in holding if lines[number].is_group is line.is_group]
        if alike or holding:
            return (alike or holding)[0]
    return max(0, min(otherwise, len(lines) - 1))
