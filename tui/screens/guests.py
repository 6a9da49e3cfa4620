"""The guest list: every guest, the true state of its agent, and what to do about the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import Input, Static

from tui.backup.leftovers import Leftover
from tui.backup.runstate import RunState
from tui.doctor.booting import booting_left_s
from tui.fleet.kept_view import keep_view, load_view
from tui.fleet.view import ListView
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.guest import Guest, GuestId
from tui.screens.guests_wishes import WishesScreen
from tui.widgets.banner import banner_text
from tui.widgets.bindings import bindings, is_refused
from tui.widgets.few_lines import FewLines
from tui.widgets.guest_details import GuestDetails
from tui.widgets.guest_rows import GuestRows
from tui.widgets.guest_table import GuestTable
from tui.widgets.guest_text import (
    backup_words,
    count_words,
    guest_lines,
    host_words,
    why_empty,
    why_lost,
    why_unasked,
)
from tui.widgets.key_line import KeyLine
from tui.widgets.tones import styles_of

CURSOR_REST_S = 0.4
"""Seconds the cursor has to stay on a guest before its agent is asked."""
MOST_LOST_LINES = 4
"""Lines in which lost hosts say why they are lost."""
BESIDE_AFTER_S = 0.1
"""Seconds the cursor has to stay on a guest before its details are drawn beside the list."""
BESIDE_WIDTH = 120
"""Cells from which on there is room for details beside the list."""


FIRST = frozenset({"filter", "console", "many"})
"""Actions behind which whatever is typed next goes to another place."""


class GuestsScreen(WishesScreen):
    """The list, drawn."""

    WHERE = Where.GUESTS
    VERTICAL_BREAKPOINTS = [(0, "-low"), (10, "-high")]  # noqa: RUF012 - Textual declares no class variable
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.GUESTS, first=FIRST)
    HELP = "The guests of your hosts. The AGENT column is live: it changes by itself when an agent comes or goes."

    backups: reactive[Mapping[str, RunState]] = reactive(MappingProxyType({}), init=False)
    commands: reactive[Mapping[GuestId, str]] = reactive(MappingProxyType({}), init=False)
    leftovers: reactive[Mapping[str, tuple[Leftover, ...]]] = reactive(MappingProxyType({}), init=False)

    def __init__(self, hosts: Mapping[str, Host], *, read_only: bool = False) -> None:
        super().__init__()
        self._hosts = hosts
        self.read_only = read_only
        self._only_looks = False
        self._resting: Timer | None = None
        self._booted: Timer | None = None
        self.set_reactive(GuestsScreen.view, load_view())

    def compose(self) -> ComposeResult:
        """Hosts above, table, the guest under the cursor beside and below it."""
        yield Static(id="hosts")
        yield FewLines(id="lost")
        yield Static(id="banner")
        with Horizontal(id="middle"):
            yield GuestTable()
            yield Static(id="empty")
            yield GuestDetails(self._hosts, draw_after_s=BESIDE_AFTER_S, ask_after_s=CURSOR_REST_S)
        yield Input(placeholder="name, state, system or address; !word hides", id="filter")
        yield FewLines(id="under-cursor")
        yield KeyLine()

    def on_mount(self) -> None:
        """Draw what is known already."""
        self.query_one("#filter").display = False
        self._draw()
        self._draw_banner()
        self.rows.focus()

    def on_resize(self) -> None:
        """Details may fit beside the list."""
        self._draw_beside()

    @on(GuestRows.ColumnsFitted)
    def _columns_fitted(self) -> None:
        self.query_one(GuestTable).show_titles(self.view)
        self._tell_what_is_looked_at()

    def _tell_what_is_looked_at(self) -> None:
        keys = {column.key for column in self.rows.columns}
        self.post_message(self.ColumnsShown(frozenset(keys | ({"address"} if self.view.filter else set()))))

    def watch_fleet(self) -> None:
        """Draw the next fleet."""
        self._draw()

    def watch_view(self, before: ListView, view: ListView) -> None:
        """Draw the list another way, and keep what is worth keeping."""
        self._draw()
        if self.is_mounted and bool(before.filter) is not bool(view.filter):
            self._tell_what_is_looked_at()
        if replace(before, filter="", marked=frozenset()) != replace(view, filter="", marked=frozenset()):
            keep_view(view)

    def watch_leftovers(self) -> None:
        """Draw the banner about what was left behind."""
        if self.is_mounted:
            self._draw_banner()

    def _draw_banner(self) -> None:
        banner = self.query_one("#banner", Static)
        words = banner_text(self.leftovers, styles_of(self.app.theme_variables))
        banner.display = words is not None
        banner.update(words or "")

    def watch_commands(self) -> None:
        """Draw which guests run a command."""
        self._draw()

    def watch_backups(self) -> None:
        """Draw how far the running backups are."""
        if self.is_mounted:
            self._draw_hosts()
            self._draw_under_cursor()

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        table = self.query_one(GuestTable)
        table.show(self.fleet, self.view, frozenset(self.commands))
        self._draw_hosts()
        empty = self.query_one("#empty", Static)
        is_empty = self.rows.row_count == 0
        if is_empty:
            empty.update(why_empty(self.fleet, self.view))
        empty.display, table.display = is_empty, not is_empty
        self._draw_under_cursor()

    def _draw_hosts(self) -> None:
        styles = styles_of(self.app.theme_variables)
        line = Text("read-only   " if self.read_only else "", styles["warning"], no_wrap=True, overflow="ellipsis")
        line.append_text(count_words(self.fleet, self.view, self.rows.row_count, styles))
        line.append_text(backup_words(self.backups)).append_text(host_words(self.fleet, styles))
        self.query_one("#hosts", Static).update(line)
        lost = self.query_one("#lost", FewLines)
        whys = why_lost(self.fleet, styles)
        lost.display = bool(whys)
        lost.styles.height = min(2 * len(whys), MOST_LOST_LINES)
        lost.show(*whys)

    def _draw_under_cursor(self) -> None:
        guest = self.under_cursor
        texts: tuple[Text, ...] = ()
        if guest is not None:
            backup = self.backups.get(guest.id.uuid)
            command = self.commands.get(guest.id, "")
            read_only = self.fleet.is_read_only(guest.id)
            texts = guest_lines(guest, backup, styles_of(self.app.theme_variables), command, read_only=read_only)
            self._draw_again_once_booted(guest)
        self.query_one("#under-cursor", FewLines).show(*texts)
        self._draw_beside()
        self._note_what_is_refused()

    def _draw_again_once_booted(self, guest: Guest) -> None:
        """The advice to wait holds for as long as the guest may be booting."""
        if self._booted is not None:
            self._booted.stop()
        if left_s := booting_left_s(guest, time.time()):
            self._booted = self.set_timer(left_s, self._draw_under_cursor)

    def _draw_beside(self) -> None:
        details = self.query_one(GuestDetails)
        details.display = self.view.beside and self.size.width >= BESIDE_WIDTH and self.rows.row_count > 0
        guest = self.under_cursor if details.display else None
        details.show(guest, unasked=why_unasked(self.fleet, self.backups, guest))

    def _note_what_is_refused(self) -> None:
        guests = [self.fleet.guests[key] for key in self.view.marked if key in self.fleet.guests]
        guests = guests or [guest for guest in (self.under_cursor,) if guest is not None]
        only_looks = bool(guests) and all(self.fleet.is_read_only(guest.id) for guest in guests)
        if only_looks is not self._only_looks:
            self._only_looks = only_looks
            self.refresh_bindings()

    @on(GuestRows.CursorMoved)
    def _cursor_moved(self, event: GuestRows.CursorMoved) -> None:
        event.stop()
        self._draw_under_cursor()
        if self._resting is not None:
            self._resting.stop()
        guest_id = event.guest_id
        self._resting = self.set_timer(
            CURSOR_REST_S, lambda: self.post_message(self.PingWanted(guest_id, relist=False))
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What changes guests is shown as disabled in read-only mode, and where a host lets this user only look."""
        if action in FIRST and self.focused is not None and self.focused.id == "filter":
            return False  # the key is a character there, or ends the filter
        return None if is_refused(Where.GUESTS, action, read_only=self.read_only or self._only_looks) else True

    def action_beside(self) -> None:
        """Show or hide the details beside the list."""
        if self.size.width < BESIDE_WIDTH:
            self.notify(f"Details beside the list need {BESIDE_WIDTH} columns; i shows them alone.", markup=False)
            return
        self.view = replace(self.view, beside=not self.view.beside)

    def action_quit(self) -> None:
        """Leave."""
        self.app.exit()
