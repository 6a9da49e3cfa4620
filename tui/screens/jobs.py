"""The backups and restores of this user, and what was left behind on the hosts: a list, from any terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import DataTable, Static

from tui.backup.jobs import Job, JobList, JobWord
from tui.backup.leftovers import Leftover, Urgency, Way
from tui.backup.plan import stamp_words
from tui.backup.telling import headline
from tui.hosts.lanes import apart
from tui.model.command import Where
from tui.model.text import printable
from tui.screens.cancel import ask_to_cancel
from tui.screens.restore_wanted import want_restore_of
from tui.screens.steering import ORDERS, ask_for_rate, ask_to_settle, orders_for
from tui.widgets.bindings import bindings, is_refused
from tui.widgets.few_lines import FewLines
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

LOOK_EVERY_S = 1.0
NARROW = 72
"""Cells below which there is no column for when; that is told below the table then."""
WHEN = 2
"""The place of that column."""
CELL_PADDING = 2
URGENCY_TONES: dict[Urgency, str] = {Urgency.NOW: "error", Urgency.SOON: "warning", Urgency.WHENEVER: "muted"}
WORD_TONES: dict[JobWord, str] = {
    JobWord.RUNNING: "primary",
    JobWord.WAITING: "muted",
    JobWord.CANCELLING: "warning",
    JobWord.DONE: "success",
    JobWord.UNDONE: "muted",
    JobWord.LESS: "warning",
    JobWord.FAILED: "error",
    JobWord.VOID: "error",
    JobWord.STRANDED: "error",
}
NOTHING = "No backup was made yet. Go back with esc, put the cursor on a guest, and press b."


class JobsScreen(Screen[None], EndsWorkersFirst):
    """Leftovers first, then backups, newest first; enter opens the one under the cursor."""

    WHERE = Where.JOBS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.JOBS)
    HELP = "Every backup and restore of this user on this machine. What needs you stands first; enter opens it."

    leftovers: reactive[Mapping[str, tuple[Leftover, ...]]] = reactive(MappingProxyType({}), init=False)

    class JobWanted(Message):
        """The user wants to see a backup."""

        def __init__(self, job: Job) -> None:
            super().__init__()
            self.job = job

    class RescueWanted(Message):
        """The user wants to see what was left behind on a guest of `host`."""

        def __init__(self, host: str, leftover: Leftover) -> None:
            super().__init__()
            self.host = host
            self.leftover = leftover

    def __init__(self, *, read_only: bool = False) -> None:
        super().__init__()
        self._read_only = read_only
        self._list = JobList()
        self._jobs: tuple[Job, ...] = ()
        self._rows: list[Job | tuple[str, Leftover]] = []
        self._drawn: list[tuple[str, ...]] = []
        self._saved: Path | None = None
        self._orders: frozenset[str] = frozenset()
        self._is_narrow = False
        self._folders: dict[str, str] = {}
        self._asked: set[str] = set()

    def compose(self) -> ComposeResult:
        """Title, table, what to do about the row under the cursor."""
        yield Static(Text("Backups"), id="title")
        yield DataTable[Text](cursor_type="row", id="jobs")
        yield Static(Text(NOTHING, "dim"), id="empty")
        yield FewLines(id="under-cursor")
        yield KeyLine()

    async def on_mount(self) -> None:
        """Look now, and then every second: a backup runs in a process of its own."""
        self.set_interval(LOOK_EVERY_S, self._look)
        await self._look()
        self.query_one(DataTable).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Other columns may fit, in other widths."""
        self._is_narrow = event.size.width < NARROW
        self._drawn = []
        self._draw()

    def _columns(self) -> tuple[tuple[str, int], ...]:
        """Titles and widths; the last one has what is left, so that a longer text is cut with an ellipsis."""
        kept = (("GUEST", 12), ("STATE", 15), *(() if self._is_narrow else (("WHEN", 16),)))
        taken = sum(width + CELL_PADDING for _, width in kept) + CELL_PADDING
        taken += self.query_one(DataTable).styles.scrollbar_size_vertical
        return *kept, ("WHAT", max(self.size.width - taken, 1))

    async def _look(self) -> None:
        self._jobs = await asyncio.to_thread(self._list.look)
        self._draw()
        row = self._row()
        if isinstance(row, Job):
            self._look_for_folder(row)

    def watch_leftovers(self) -> None:
        """Draw what was found."""
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        found = [(host, each) for host, all_of in self.leftovers.items() for each in all_of if each.way != Way.ATTACH]
        rows: list[Job | tuple[str, Leftover]] = [*found, *self._jobs]
        words = [_job_words(row) if isinstance(row, Job) else _leftover_words(row[1]) for row in rows]
        self.query_one("#empty").display = not rows
        table = self.query_one(DataTable)
        table.display = bool(rows)
        if words != self._drawn:
            chosen, names = self._row(), [_name(row) for row in rows]
            at = names.index(_name(chosen)) if chosen is not None and _name(chosen) in names else table.cursor_row
            self._rows, self._drawn = rows, words
            table.clear(columns=True)
            for title, width in self._columns():
                table.add_column(title, width=width)
            for row, cells in zip(rows, words, strict=True):
                table.add_row(*self._cells(row, cells))
            table.move_cursor(row=min(at, len(rows) - 1))
        self._rows = rows
        self._draw_under_cursor()

    def _cells(self, row: Job | tuple[str, Leftover], words: tuple[str, ...]) -> list[Text]:
        style = styles_of(self.app.theme_variables)[_tone(row)]
        shown = [each for at, each in enumerate(words) if not (self._is_narrow and at == WHEN)]
        return [
            Text(each, style if at == 1 else "", no_wrap=True, overflow="ellipsis") for at, each in enumerate(shown)
        ]

    @on(DataTable.RowHighlighted)
    def _draw_under_cursor(self) -> None:
        row = self._row()
        texts: tuple[Text, ...] = ()
        if isinstance(row, Job):
            hint = "enter shows it" if row.word is not JobWord.STRANDED else "its guest needs rescue: see the top rows"
            hint += "; R: verify, look inside, restore" if row.saved is not None else ""
            at = f"{stamp_words(row.run.plan.stamp)}  " if self._is_narrow else ""
            texts = (
                Text(printable(headline(row.state))),
                Text(printable(f"{at}{row.doing}")),
                Text(printable(self._folder_words(row)), "dim"),
                Text(hint, "dim"),
            )
        elif row is not None:
            texts = (Text(printable(row[1].explanation)), Text("enter shows what can be done", "dim"))
        self.query_one("#under-cursor", FewLines).show(*texts)
        saved = row.saved if isinstance(row, Job) else None
        orders = orders_for(row.state) if isinstance(row, Job) else frozenset()
        if (saved, orders) != (self._saved, self._orders):
            self._saved, self._orders = saved, orders
            self.refresh_bindings()

    def _folder_words(self, job: Job) -> str:
        """Where its copy is, as far as that is known."""
        folder = self._folders.get(job.state.run_id)
        if folder is None:
            self._look_for_folder(job)
            return f"looking for {job.state.result} …"
        return folder or "no copy"

    def _look_for_folder(self, job: Job) -> None:
        """Once at a time for each run: a file system that does not answer holds one thread, and nothing else."""
        if job.state.run_id not in self._asked:
            self._asked.add(job.state.run_id)
            self._find_folder(job)

    @work(group="folder")
    async def _find_folder(self, job: Job) -> None:
        run_id = job.state.run_id
        found = await apart(job.find_folder)
        self._asked.discard(run_id)
        if self._folders.get(run_id) != found:
            self._folders[run_id] = found
            self._draw_under_cursor()

    def _row(self) -> Job | tuple[str, Leftover] | None:
        at = self.query_one(DataTable).cursor_row
        return self._rows[at] if 0 <= at < len(self._rows) else None

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Open the row under the cursor."""
        row = self._row()
        if isinstance(row, Job):
            self.post_message(self.JobWanted(row))
        elif row is not None:
            self.post_message(self.RescueWanted(*row))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Restoring is offered on finished backups, orders on others; those are disabled in read-only mode."""
        if action == "restore":
            return self._saved is not None
        if action in ORDERS and action not in self._orders:
            return False
        return None if is_refused(Where.JOBS, action, read_only=self._read_only) else True

    @work(exclusive=True, group="restore")
    async def action_restore(self) -> None:
        """What can be done with the backup under the cursor."""
        if self._saved is not None:
            await want_restore_of(self, self._saved)

    def action_cancel(self) -> None:
        """Ask whether to end the run under the cursor."""
        row = self._row()
        if isinstance(row, Job) and "cancel" in self._orders:
            ask_to_cancel(self.app, row.run, waits=row.word is JobWord.WAITING)

    def action_limit(self) -> None:
        """Ask for another rate of the copy under the cursor."""
        row = self._row()
        if isinstance(row, Job) and "limit" in self._orders:
            ask_for_rate(self.app, row.run)

    def action_settle(self) -> None:
        """Ask whether to pause the guest of the backup under the cursor until its disks are merged."""
        row = self._row()
        if isinstance(row, Job) and "settle" in self._orders:
            ask_to_settle(self.app, row.run)

    def action_down(self) -> None:
        """One row down."""
        self.query_one(DataTable).action_cursor_down()

    def action_up(self) -> None:
        """One row up."""
        self.query_one(DataTable).action_cursor_up()

    def action_back(self) -> None:
        """To the list of guests."""
        self.dismiss()


def _tone(row: Job | tuple[str, Leftover]) -> str:
    return WORD_TONES[row.word] if isinstance(row, Job) else URGENCY_TONES[row[1].urgency]


def _name(row: Job | tuple[str, Leftover]) -> tuple[str, str]:
    """What a row keeps while others come and go above it."""
    return ("run", row.run.plan.run_id) if isinstance(row, Job) else (row[0], row[1].evidence.plan.uuid)


def _job_words(job: Job) -> tuple[str, ...]:
    doing = job.doing if job.state.way is None else f"restore {job.state.way}: {job.doing}"
    return printable(job.run.plan.guest, 20), str(job.word), stamp_words(job.run.plan.stamp), printable(doing, 120)


def _leftover_words(leftover: Leftover) -> tuple[str, ...]:
    urgency = {Urgency.NOW: "! needs you now", Urgency.SOON: "! needs you", Urgency.WHENEVER: "· left behind"}
    return printable(leftover.guest, 20), urgency[leftover.urgency], "", printable(leftover.title, 120)
