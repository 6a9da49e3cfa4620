"""Looking into a backup: its disks, their parts, folders and files; read-only, with nothing mounted."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual.worker import Worker

from tui.backup.errors import explained
from tui.backup.inside.debugfs import ROOT, Entry, EntryKind, ExtReader
from tui.backup.inside.disk import OpenDisk, open_disk
from tui.backup.inside.errors import NeedsCopyError
from tui.backup.inside.extract import extract
from tui.backup.inside.offered import make_offered_folder, offered_place
from tui.backup.inside.partitions import FsKind, Part
from tui.backup.restore.saved import SavedBackup, SavedDisk
from tui.hosts.lanes import apart
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.paths import typed_path
from tui.model.quantities import size
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.file import FileScreen
from tui.screens.line import LineScreen
from tui.widgets.bindings import bindings
from tui.widgets.file_text import file_text
from tui.widgets.inside_text import ROWS_LIMIT, Row, count_words, row_cells, taken_words
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

VIEW_LIMIT = 64 * 1024
"""Bytes of a file that are shown."""
OTHER_COLUMNS, NAME_LEAST = 36, 12
"""Cells that size, time, paddings and scroll bar take, and the least that names get."""


class InsideScreen(Screen[None], EndsWorkersFirst):
    """A list of what is at one place; enter goes in, esc goes out."""

    WHERE = Where.INSIDE
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.INSIDE)
    HELP = "Nothing is mounted and nothing is changed. x takes a file or a folder out to this machine."

    def __init__(self, saved: SavedBackup) -> None:
        super().__init__()
        self._saved = saved
        self._opened = AsyncExitStack()
        self._disk: tuple[SavedDisk, OpenDisk] | None = None
        self._part: tuple[Part, ExtReader] | None = None
        self._path: tuple[Entry, ...] = ()
        self.rows: tuple[Row, ...] = saved.disks
        self._taking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Where one is, what is there, what happens."""
        yield Static(id="title")
        yield DataTable[Text](cursor_type="row", id="rows")
        yield Static(id="said")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with the disks; an only one is opened at once."""
        self.query_one(DataTable).focus()
        self._draw()
        if len(self._saved.disks) == 1:
            self._open_disk(self._saved.disks[0])

    def on_resize(self) -> None:
        """Names get what room there is."""
        self._draw(self.query_one(DataTable).cursor_row)

    async def on_unmount(self) -> None:
        """Close what is open."""
        await self._opened.aclose()

    def _draw(self, cursor: int = 0) -> None:
        self.query_one("#title", Static).update(Text(self._where(), no_wrap=True, overflow="ellipsis"))
        table = self.query_one(DataTable)
        table.clear(columns=True)
        table.add_column("NAME", width=max(self.size.width - OTHER_COLUMNS, NAME_LEAST))
        table.add_column("SIZE", width=10)
        table.add_column("CHANGED", width=16)
        for row in self.rows[:ROWS_LIMIT]:
            table.add_row(*row_cells(row))
        table.move_cursor(row=cursor)

    def _where(self) -> str:
        words = [f"Inside {printable(self._saved.guest, 30)}"]
        if self._disk is not None:
            words.append(self._disk[0].target)
        if self._part is not None:
            names = "/".join(entry.name for entry in self._path)
            words.append(f"part {self._part[0].number}" if self._part[0].number else "whole disk")
            words.append(printable(f"/{names}"))
        return "  ".join(words)

    def _say(self, words: str, tone: str = "muted") -> None:
        text = Text(printable(words), styles_of(self.app.theme_variables)[tone])
        self.query_one("#said", Static).update(text)

    def _row(self) -> Row | None:
        at = self.query_one(DataTable).cursor_row
        return self.rows[at] if 0 <= at < len(self.rows) else None

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Go in."""
        match self._row():
            case SavedDisk() as disk:
                self._open_disk(disk)
            case Part() as part:
                self._enter_part(part)
            case Entry() as entry:
                self._enter(entry)
            case None:
                return

    @work(exclusive=True, group="go")
    async def _open_disk(self, disk: SavedDisk, *, may_copy: bool = False) -> None:
        self._say("Making a temporary copy …" if may_copy else f"Opening {disk.target} …")
        context = open_disk(str(self._saved.path(disk.file)), disk.format, may_copy=may_copy)
        try:
            opened = await self._opened.enter_async_context(context)
        except NeedsCopyError as error:
            self._ask_for_copy(disk, error)
        except (ExplainedError, OSError) as error:
            self._complain(error)
        else:
            self._disk, self.rows = (disk, opened), opened.parts
            self._say("")
            self._draw()
            if len(opened.parts) == 1 and opened.parts[0].kind is FsKind.EXT:
                self._enter_part(opened.parts[0])

    def _ask_for_copy(self, disk: SavedDisk, error: NeedsCopyError) -> None:
        if not error.fits:
            self._say(
                f"{error.cause} A copy takes {size(error.needed)}; {error.place} has {size(error.free)}.", "error"
            )
            return

        def go_on(wanted: bool | None) -> None:
            if wanted:
                self._open_disk(disk, may_copy=True)

        question = ConfirmScreen(
            printable(f"Make a temporary copy of up to {size(error.needed)} in {error.place}?"),
            printable(f"{error.cause} The copy is gone when you leave."),
            yes=printable("Make it"),
            no=printable("No"),
        )
        self.app.push_screen(question, go_on)

    def _enter_part(self, part: Part) -> None:
        if self._disk is None:
            return
        try:
            reader = self._disk[1].reader(part)
        except ExplainedError as error:
            self._complain(error)
            return
        self._part = (part, reader)
        self._list(())

    def _enter(self, entry: Entry) -> None:
        if entry.kind is EntryKind.FOLDER:
            self._list((*self._path, entry))
        elif entry.kind is EntryKind.FILE:
            self._view(entry)
        else:
            self._say("Only folders and files can be opened.", "warning")

    @work(exclusive=True, group="go")
    async def _list(self, path: tuple[Entry, ...], cursor_on: int = 0) -> None:
        if self._part is None:
            return
        self._say("Reading …")
        try:
            listing = await self._part[1].entries(path[-1].inode if path else ROOT)
        except (ExplainedError, OSError) as error:
            self._complain(error)
            return
        self._path, self.rows = path, listing.entries
        self._say(count_words(listing))
        inodes = [entry.inode for entry in listing.entries]
        self._draw(inodes.index(cursor_on) if cursor_on in inodes else 0)

    @work(exclusive=True, group="go")
    async def _view(self, entry: Entry) -> None:
        if self._part is None:
            return
        try:
            content = await self._part[1].beginning(entry.inode, min(entry.size, VIEW_LIMIT))
        except (ExplainedError, OSError) as error:
            self._complain(error)
            return
        cut = f", the first {size(VIEW_LIMIT)}" if entry.size > VIEW_LIMIT else ""
        title = printable(f"{entry.name}  {size(entry.size)}{cut}")
        self.app.push_screen(FileScreen(title, file_text(content)))

    @work(exclusive=True, group="ask")
    async def action_take(self) -> None:
        """Take what is under the cursor out."""
        entry = self._row()
        if not isinstance(entry, Entry):
            self._say("Go to a file or a folder first.", "warning")
            return
        question = printable(f"Where to? A path on this machine that does not exist yet, for {entry.name}")
        answer = await apart(offered_place, entry.name)
        typed = await self.app.push_screen_wait(LineScreen(question, answer=answer))
        if typed:
            try:
                self._taking = self._take(entry, typed_path(typed))
            except ExplainedError as error:
                self._complain(error)

    @work(exclusive=True, group="take")
    async def _take(self, entry: Entry, target: Path) -> None:
        if self._part is None:
            return
        try:
            await apart(make_offered_folder, target)
            done = await extract(self._part[1], entry, target, lambda now: self._say(taken_words(now, "…")))
        except FileExistsError as error:
            self._say(f"✗ {error.filename or target} is there already. Press x again and name another path.", "error")
            return
        except (ExplainedError, OSError) as error:
            self._complain(error)
            return
        left_out = f"; left out: {'; '.join(done.left_out)}" if done.left_out else ""
        self._say(f"✓ {taken_words(done, '')}{left_out}", "warning" if left_out else "success")

    def _complain(self, error: Exception) -> None:
        words = explained(error)
        self._say(" ".join(filter(None, (f"✗ {words.title}.", words.cause, words.next_step))), "error")

    def action_up(self) -> None:
        """To the place above."""
        if self._path:
            self._list(self._path[:-1], self._path[-1].inode)
        else:
            self._leave_part()

    @work(exclusive=True, group="go")
    async def _leave_part(self) -> None:
        was_alone = self._disk is not None and len(self._disk[1].parts) == 1
        if self._part is not None and not was_alone and self._disk is not None:
            self._part, self.rows = None, self._disk[1].parts
        elif self._disk is not None and len(self._saved.disks) > 1:
            await self._opened.aclose()
            self._disk, self._part, self.rows = None, None, self._saved.disks
        else:
            self.dismiss()
            return
        self._say("")
        self._draw()

    def action_back(self) -> None:
        """Stop taking out; else to the place above, and from the first one back."""
        if self._taking is not None and self._taking.is_running:
            self._taking.cancel()
            self._say("Stopped; what was taken out until then stays.", "warning")
        else:
            self.action_up()

    async def leave(self) -> None:
        """Back from any folder; not while something is taken out."""
        if self._taking is not None and self._taking.is_running:
            self._say("Still taking out: esc stops that, or wait for its end.", "warning")
        else:
            self.dismiss()
