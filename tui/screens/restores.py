"""The backups that were found, those of the chosen guest first: what each is, and what may be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static

from tui.backup.restore.catalogue import FoundBackup, arranged, known_targets, look_at, search
from tui.hosts.lanes import Lane
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.model.paths import typed_path
from tui.model.text import printable
from tui.screens.line import LineScreen
from tui.screens.restore_wanted import want_restore
from tui.screens.verify import VerifyScreen
from tui.widgets.bindings import bindings
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.saved_text import WORD_SIGNS, disks_words, found_text, verified_sign, when
from tui.widgets.tones import styles_of

NARROW, WIDE = 78, 80
"""Columns below which only the columns that tell backups apart fit, and above which names get more room."""
NOTHING = "No backup was found. f looks in another folder; b in the list of guests makes a backup."


class RestoresScreen(Screen[None], EndsWorkersFirst):
    """Finds backups and lists them; opening one it leaves to whoever hears `restore_wanted.RestoreWanted`."""

    WHERE = Where.RESTORES
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.RESTORES)
    HELP = "Backups in the folders that your backups went to, and in any folder that you name with f."

    def __init__(self, guest: Guest | None, configured: Path) -> None:
        """`guest` is the one whose backups come first, `configured` the folder of the settings."""
        super().__init__()
        self._guest = guest
        self._configured = configured
        self._typed: tuple[Path, ...] = ()
        self._found: tuple[FoundBackup, ...] = ()
        self._is_narrow = False
        self._lane = Lane("known targets", 1)

    def compose(self) -> ComposeResult:
        """Title, table, the backup under the cursor."""
        yield Static(Text("Backups"), id="title")
        yield DataTable[Text](cursor_type="row", id="found")
        yield Static(id="empty")
        yield Static(id="under-cursor")
        yield KeyLine()

    def on_mount(self) -> None:
        """Look at once."""
        self.query_one(DataTable).focus()
        self.action_look()

    def on_unmount(self) -> None:
        """Let go of the thread."""
        self._lane.close()

    def on_resize(self, event: events.Resize) -> None:
        """Other columns may fit."""
        self._is_narrow = event.size.width < NARROW
        self._draw()

    @work(exclusive=True, group="look")
    async def action_look(self) -> None:
        """Look for backups in all known places."""
        self._found = ()
        self._say("Looking for the folders of your backups …")
        targets = (*self._typed, *await self._lane.call(known_targets, self._configured))
        unheard = dict.fromkeys(targets)
        async for target, found in search(targets):
            unheard.pop(target, None)
            self._say(f"still looking in {', '.join(map(str, unheard))}")
            self._found = arranged((*self._found, *found), self._uuid)
            self._draw()
        self._say(f"in {_places(len(set(targets)))}; enter opens")
        self.query_one("#empty", Static).update(Text(NOTHING, "dim"))

    @property
    def _uuid(self) -> str:
        return "" if self._guest is None else self._guest.id.uuid

    def _say(self, words: str) -> None:
        whose = "" if self._guest is None else f", {printable(self._guest.name, 40)} first"
        title = Text(f"Backups{whose}   {printable(words)}", no_wrap=True, overflow="ellipsis")
        self.query_one("#title", Static).update(title)

    def _draw(self) -> None:
        table = self.query_one(DataTable)
        cursor = table.cursor_row
        table.clear(columns=True)
        for title, width in self._columns():
            table.add_column(title, width=width)
        styles = styles_of(self.app.theme_variables)
        for found in self._found:
            table.add_row(*self._cells(found, styles))
        table.move_cursor(row=min(max(cursor, 0), len(self._found) - 1))
        table.display = bool(self._found)
        self.query_one("#empty").display = not self._found
        if self._found and self.focused is None:
            table.focus()
        self._draw_under_cursor()

    def _columns(self) -> tuple[tuple[str, int | None], ...]:
        more = () if self._is_narrow else (("HOW", 8), ("DISKS", 12))
        guest = 12 + min(max(self.size.width - WIDE, 0), 28)
        return (("GUEST", guest), ("WHEN", 16), ("STATE", 10), *more, ("VERIFIED", None))

    def _cells(self, found: FoundBackup, styles: dict[str, str]) -> tuple[Text, ...]:
        sign, tone = WORD_SIGNS[found.word]
        verified, verified_tone = ("", "muted") if found.saved is None else verified_sign(found.verified)
        how = "?" if found.saved is None else str(found.saved.consistency)
        return (
            Text(printable(found.guest, 60), no_wrap=True, overflow="ellipsis"),
            Text(when(found)),
            Text(f"{sign} {found.word}", styles[tone]),
            *(() if self._is_narrow else (Text(how), Text(disks_words(found)))),
            Text(printable(verified, 40), styles[verified_tone]),
        )

    @on(DataTable.RowHighlighted)
    def _draw_under_cursor(self) -> None:
        found = self._under_cursor()
        text = Text() if found is None else found_text(found, styles_of(self.app.theme_variables))
        self.query_one("#under-cursor", Static).update(text)

    def _under_cursor(self) -> FoundBackup | None:
        at = self.query_one(DataTable).cursor_row
        return self._found[at] if 0 <= at < len(self._found) else None

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """What can be done with the backup under the cursor."""
        found = self._under_cursor()
        if found is not None:
            want_restore(self, found)

    def action_verify(self) -> None:
        """Read the backup under the cursor anew."""
        found = self._under_cursor()
        if found is not None and found.saved is not None:
            self.app.push_screen(VerifyScreen(found))

    def on_screen_resume(self) -> None:
        """What was opened may have been verified or boot tested meanwhile."""
        found = self._under_cursor()
        if found is not None:
            self._look_at(found)

    @work(group="note")
    async def _look_at(self, found: FoundBackup) -> None:
        """Show what is known now of one backup's last look."""
        fresh = await self._lane.call(look_at, found.folder)
        self._found = tuple(fresh if each.folder == found.folder else each for each in self._found)
        self._draw()

    def action_folder(self) -> None:
        """Look in a folder that is typed in."""

        def look_there(typed: str | None) -> None:
            if typed:
                try:
                    folder = typed_path(typed)
                except ExplainedError as error:
                    self.notify(printable(error.one_line()), severity="warning", markup=False)
                    return
                self._typed = (folder, *self._typed)
                self.action_look()

        question = printable("Which folder? One with backups in it, or one backup's own")
        self.app.push_screen(LineScreen(question, "/mnt/backups"), look_there)

    def action_back(self) -> None:
        """To the list of guests."""
        self.dismiss()


def _places(count: int) -> str:
    return f"{count} place{'' if count == 1 else 's'}"
