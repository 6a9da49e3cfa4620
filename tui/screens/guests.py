"""The guest list: every guest, the true state of its agent, and what to do about the one under the cursor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import DataTable, Footer, Static

from tui.backup.runstate import RunState
from tui.backup.telling import headline
from tui.commands import Where
from tui.doctor.reasons import next_step
from tui.fleet import words
from tui.fleet.fleet import Fleet, Link
from tui.fleet.rows import find
from tui.model.guest import Guest, GuestId
from tui.model.text import printable
from tui.widgets.bindings import bindings
from tui.widgets.guest_table import GuestTable
from tui.widgets.tones import AGENT_TONES, LINK_GLYPHS, LINK_TONES, styles_of

CURSOR_REST_S = 0.4
"""Seconds the cursor has to stay on a guest before its agent is asked."""


class GuestsScreen(Screen[None]):
    """The list. What it wants done with a guest it says in messages; the app does it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.GUESTS)
    HELP = "The guests of your hosts. The AGENT column is live: it changes by itself when an agent comes or goes."

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)
    backups: reactive[Mapping[str, RunState]] = reactive(MappingProxyType({}), init=False)

    class ConsoleWanted(Message):
        """The user wants to run commands in a guest."""

        def __init__(self, guest_id: GuestId) -> None:
            super().__init__()
            self.guest_id = guest_id

    class BackupWanted(Message):
        """The user wants to back a guest up, or see its backup."""

        def __init__(self, guest_id: GuestId) -> None:
            super().__init__()
            self.guest_id = guest_id

    class PingWanted(Message):
        """Somebody looks at a guest: its agent's answer is to be fresh. `relist` asks for the lists too."""

        def __init__(self, guest_id: GuestId | None, *, relist: bool) -> None:
            super().__init__()
            self.guest_id = guest_id
            self.relist = relist

    def __init__(self) -> None:
        super().__init__()
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        """Hosts above, table, the guest under the cursor below."""
        yield Static(id="hosts")
        yield GuestTable()
        yield Static(id="empty")
        yield Static(id="under-cursor")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Draw what is known already."""
        self._draw(self.fleet)
        self.query_one(GuestTable).focus()

    def watch_fleet(self, fleet: Fleet) -> None:
        """Draw the next fleet."""
        if self.is_mounted:
            self._draw(fleet)

    def watch_backups(self) -> None:
        """Draw how far the running backups are."""
        if self.is_mounted:
            self._draw_hosts()
            self._draw_under_cursor()

    def _draw(self, fleet: Fleet) -> None:
        table = self.query_one(GuestTable)
        table.show(fleet)
        self._draw_hosts()
        empty = self.query_one("#empty", Static)
        empty.update(_why_empty(fleet))
        empty.display = not fleet.guests
        table.display = bool(fleet.guests)
        self._draw_under_cursor()

    def _draw_hosts(self) -> None:
        line = _hosts_line(self.fleet, styles_of(self.app.theme_variables))
        if self.backups:
            line.append(f"▸ {len(self.backups)} backup{'s' if len(self.backups) != 1 else ''} running")
        self.query_one("#hosts", Static).update(line)

    def _draw_under_cursor(self) -> None:
        guest = find(self.fleet, self.query_one(GuestTable).guest_id)
        line = Text()
        if guest is not None:
            backup = self.backups.get(guest.id.uuid)
            line = _guest_lines(guest, backup, styles_of(self.app.theme_variables))
        self.query_one("#under-cursor", Static).update(line)

    @on(GuestTable.CursorMoved)
    def _cursor_moved(self, event: GuestTable.CursorMoved) -> None:
        event.stop()
        self._draw_under_cursor()
        if self._resting is not None:
            self._resting.stop()
        guest_id = event.guest_id
        self._resting = self.set_timer(
            CURSOR_REST_S, lambda: self.post_message(self.PingWanted(guest_id, relist=False))
        )

    @on(DataTable.RowSelected)
    def _row_chosen(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_console()

    def action_console(self) -> None:
        """Open the console of the guest under the cursor."""
        guest_id = self.query_one(GuestTable).guest_id
        if guest_id is not None:
            self.post_message(self.ConsoleWanted(guest_id))

    def action_backup(self) -> None:
        """Open the backup of the guest under the cursor."""
        guest_id = self.query_one(GuestTable).guest_id
        if guest_id is not None:
            self.post_message(self.BackupWanted(guest_id))

    def action_ping(self) -> None:
        """Ask anew."""
        self.post_message(self.PingWanted(self.query_one(GuestTable).guest_id, relist=True))

    def action_down(self) -> None:
        """Move the cursor down."""
        self.query_one(GuestTable).action_cursor_down()

    def action_up(self) -> None:
        """Move the cursor up."""
        self.query_one(GuestTable).action_cursor_up()

    def action_quit(self) -> None:
        """Leave."""
        self.app.exit()


def _hosts_line(fleet: Fleet, styles: dict[str, str]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for host in fleet.hosts:
        guests = sum(1 for guest in fleet.guests.values() if guest.id.host == host.name)
        line.append(f"{LINK_GLYPHS[host.link]} ", styles[LINK_TONES[host.link]])
        line.append(printable(host.name, 40), "bold")
        counted = "" if host.link is Link.CONNECTING else f" · {guests} guest{'s' if guests != 1 else ''}"
        line.append(f" {host.link}{counted}   ", "dim")
    return line


def _why_empty(fleet: Fleet) -> Text:
    """What stands in place of an empty table: each host's reason."""
    text = Text()
    for host in fleet.hosts:
        match host.link:
            case Link.CONNECTING:
                text.append(f"Connecting to {printable(host.uri)} …\n")
            case Link.LOST:
                text.append(f"{printable(host.why)}\n\n")
            case Link.CONNECTED:
                text.append(f"{printable(host.name)} has no guests.\n")
    if any(host.link is Link.LOST for host in fleet.hosts):
        text.append("Trying again by itself; r tries at once, q leaves.", "dim")
    return text


def _guest_lines(guest: Guest, backup: RunState | None, styles: dict[str, str]) -> Text:
    """Three lines at most: state and reason, then the way on."""
    text = Text(overflow="ellipsis")
    text.append(printable(guest.name, 40), "bold")
    text.append(f"  {words.GLYPHS[guest.agent.state]} {guest.agent.state}", styles[AGENT_TONES[guest.agent.state]])
    if guest.agent.since is not None:
        text.append(f" since {time.strftime('%H:%M:%S', time.localtime(guest.agent.since))}", "dim")
    if guest.agent.reason:
        text.append(f"  {printable(guest.agent.reason)}")
    if backup is not None:
        text.append(f"\n▸ {printable(headline(backup))}; b shows it", styles["primary"])
        return text
    step = next_step(guest.agent.state)
    text.append(f"\n{step or 'Press enter for its console, b for a backup.'}", "dim")
    return text
