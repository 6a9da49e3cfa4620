"""All that is known of one guest, full screen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.screen import Screen

from tui.backup.runstate import RunState
from tui.fleet.fleet import Fleet
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.guest import Guest
from tui.widgets.bindings import bindings
from tui.widgets.guest_details import GuestDetails
from tui.widgets.guest_text import why_unasked
from tui.widgets.key_line import KeyLine


class DetailsScreen(Screen[None]):
    """Follows its guest while it is open."""

    WHERE = Where.DETAILS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.DETAILS)
    HELP = "Sections that ask the guest fill as it answers; what it cannot answer says why."

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)
    backups: reactive[Mapping[str, RunState]] = reactive(MappingProxyType({}), init=False)

    def __init__(self, host: Host, guest: Guest, fleet: Fleet, backups: Mapping[str, RunState]) -> None:
        super().__init__()
        self.set_reactive(DetailsScreen.fleet, fleet)
        self.set_reactive(DetailsScreen.backups, backups)
        self._host = host
        self._guest = guest

    def compose(self) -> ComposeResult:
        """The details, and the keys."""
        yield GuestDetails({self._guest.id.host: self._host})
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is known and ask the rest."""
        self._show()
        self.query_one(VerticalScroll).focus()

    def watch_fleet(self, fleet: Fleet) -> None:
        """Follow the guest; one that is gone stays as it was."""
        self._guest = fleet.guests.get(self._guest.id, self._guest)
        if self.is_mounted:
            self._show()

    def watch_backups(self) -> None:
        """Ask nothing while a backup of the guest runs."""
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        unasked = why_unasked(self.fleet, self.backups, self._guest)
        self.query_one(GuestDetails).show(self._guest, unasked=unasked)

    def action_refresh(self) -> None:
        """Ask again."""
        self.query_one(GuestDetails).ask()

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()
