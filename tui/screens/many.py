"""One command in many guests: a row each, grouped where asked for, and any of them to be opened."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static

from tui.commands import Where
from tui.console.many import ManyRun, Row, RunState
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.widgets.bindings import bindings
from tui.widgets.key_line import KeyLine
from tui.widgets.output_view import OutputView
from tui.widgets.tones import styles_of

REPAINT_S = 0.1
GLYPHS = {RunState.WAITING: "…", RunState.RUNNING: "▸", RunState.DONE: "✓", RunState.FAILED: "✗"}
TONES = {
    RunState.WAITING: "muted",
    RunState.RUNNING: "primary",
    RunState.DONE: "success",
    RunState.FAILED: "error",
}
FIXED_CELLS = 44
"""Cells of all columns but the last line's, with their padding."""


class ManyScreen(Screen[None]):
    """Starts the run and shows it; leaving it ends the run, after a question."""

    WHERE = Where.MANY
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.MANY, priority=True)
    HELP = "One command in several guests. ✗ marks every guest in which it did not end with exit 0."

    def __init__(self, run: ManyRun) -> None:
        super().__init__()
        self._run = run
        self._grouped = False
        self._opened: int | None = None
        self._shown: list[tuple[str, ...]] = []

    def compose(self) -> ComposeResult:
        """Summary, rows, one guest's output."""
        yield Static(id="summary")
        yield DataTable[Text](cursor_type="row", id="rows")
        yield OutputView()
        yield Static(id="detail")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(OutputView).display = False
        self.query_one("#rows").focus()
        self.set_interval(REPAINT_S, self._draw)
        self._begin()

    @work
    async def _begin(self) -> None:
        await self._run.run()
        self._draw()

    def on_resize(self) -> None:
        """Give the last line what is left of the width."""
        self._shown.clear()
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        self._draw_summary()
        if self._opened is not None:
            self.query_one(OutputView).grown(())
            return
        rows = self._group_cells() if self._grouped else [_cells(row) for row in self._run.rows]
        if rows == self._shown:
            return
        table = self.query_one("#rows", DataTable)
        cursor = table.cursor_row
        table.clear(columns=True)
        width = max(10, self.size.width - FIXED_CELLS)
        for title, cells in (("", 1), ("GUEST", 16), ("RESULT", 12), ("TIME", 6), ("LAST LINE", width)):
            table.add_column(title, width=cells)
        styles = styles_of(self.app.theme_variables)
        for row in rows:
            style = styles[TONES[RunState(row[0])]]
            marks = (GLYPHS[RunState(row[0])], *row[1:])
            table.add_row(*(Text(printable(cell), style if place != 4 else "") for place, cell in enumerate(marks)))
        table.move_cursor(row=min(cursor, len(rows) - 1))
        self._shown = rows

    def _group_cells(self) -> list[tuple[str, ...]]:
        cells = [
            (
                str(group.state),
                f"{len(group.names)}: {', '.join(group.names)}",
                _result(group.exit_code, None, group.state),
                "",
                str(group.last_line),
            )
            for group in self._run.groups()
        ]
        return cells + [_cells(row) for row in self._run.rows if row.state in {RunState.WAITING, RunState.RUNNING}]

    def _draw_summary(self) -> None:
        counts = {state: sum(row.state is state for row in self._run.rows) for state in RunState}
        styles = styles_of(self.app.theme_variables)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{printable(self._run.line, 60)}  ", "bold")
        for state in (RunState.FAILED, RunState.RUNNING, RunState.WAITING, RunState.DONE):
            if counts[state]:
                line.append(f"{GLYPHS[state]} {counts[state]} {state}  ", styles[TONES[state]])
        self.query_one("#summary", Static).update(line)
        self.query_one("#detail", Static).update(self._detail())

    def _detail(self) -> Text:
        if self._grouped and self._opened is None:
            return Text("Guests whose output and exit code are the same stand in one row.", "dim")
        place = self._opened if self._opened is not None else self.query_one("#rows", DataTable).cursor_row
        if not 0 <= place < len(self._run.rows):
            return Text()
        row = self._run.rows[place]
        return Text(printable(f"{row.name}: {row.words or row.state}"), overflow="ellipsis")

    def action_open(self) -> None:
        """Show one guest's output, or the rows again."""
        table, view = self.query_one("#rows", DataTable), self.query_one(OutputView)
        if self._opened is None and not self._grouped and table.row_count:
            self._opened = table.cursor_row
            view.show(self._run.transcripts[self._opened])
        else:
            self._opened = None
        view.display = self._opened is not None
        table.display = self._opened is None
        (view if self._opened is not None else table).focus()
        self._draw()

    def action_group(self) -> None:
        """Group by what came out, or list each."""
        self._grouped = not self._grouped
        self._draw()

    def action_cancel(self) -> None:
        """End it everywhere."""
        if not self._run.is_over:
            self._run.cancel()
            self.notify("Ending the command in all guests …", markup=False)

    @work
    async def action_back(self) -> None:
        """Back to the rows, then to the list; what runs is ended, after a question."""
        if self._opened is not None:
            self.action_open()
            return
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


def _cells(row: Row) -> tuple[str, ...]:
    time = f"{row.seconds:.1f} s" if row.seconds else ""
    last = str(row.last_line) or (row.words if row.state is RunState.FAILED else "")
    return (str(row.state), row.name, _result(row.exit_code, row.signal, row.state), time, last)


def _result(exit_code: int | None, signal: int | None, state: RunState) -> str:
    if signal is not None:
        return f"signal {signal}"
    return str(state) if exit_code is None else f"exit {exit_code}"
