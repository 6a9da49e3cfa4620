"""The application: hosts in, screens out. Wiring only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import ClassVar

from textual import on, work
from textual.app import App
from textual.binding import BindingType
from textual.reactive import reactive

from tui.backup.attention import running_backups
from tui.backup.runstate import RunState
from tui.commands import Where
from tui.console.session import Session
from tui.fleet.fleet import Fleet
from tui.fleet.watch import FleetWatch
from tui.hosts.port import Host
from tui.model.guest import GuestId
from tui.screens.backup import BackupScreen
from tui.screens.console import ConsoleScreen
from tui.screens.guests import GuestsScreen
from tui.widgets.bindings import bindings
from tui.widgets.tones import NIGHT

STYLES = ("base.tcss", "guests.tcss", "console.tcss", "backup.tcss")


def style_paths() -> list[str | PurePath]:
    """The style sheets in their order: beside the package once installed, else in the repository."""
    repository = Path(__file__).parent.parent / "styles"
    folder = repository if repository.is_dir() else Path(__file__).parent / "styles"
    return [folder / name for name in STYLES]


class QgaTui(App[None]):
    """Shows the fleet and opens what the user asks for.

    `worker_argv` is the command that a backup runs in; `backups_folder` the target offered first.
    """

    TITLE = "qga-tui"
    CSS_PATH = style_paths()
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.ANYWHERE)

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)
    backups: reactive[Mapping[str, RunState]] = reactive(MappingProxyType({}), init=False)

    def __init__(
        self, hosts: tuple[Host, ...], worker_argv: tuple[str, ...] = (), backups_folder: Path | None = None
    ) -> None:
        super().__init__()
        self.register_theme(NIGHT)
        self.theme = NIGHT.name
        self.animation_level = "none" if "SSH_CONNECTION" in os.environ else "basic"
        self._hosts = {host.name: host for host in hosts}
        self._worker_argv = worker_argv
        self._backups_folder = backups_folder or Path.home() / "backups"
        self._sessions: dict[GuestId, Session] = {}
        self._watch = FleetWatch(hosts, self._fleet_changed, is_held=self._is_backed_up)
        self.fleet = self._watch.fleet

    def get_default_screen(self) -> GuestsScreen:
        """The guest list."""
        return GuestsScreen().data_bind(QgaTui.fleet, QgaTui.backups)

    def on_ready(self) -> None:
        """The first paint is done: now hosts may be asked."""
        self.run_worker(self._watch.run(), name="fleet")
        self._watch_backups()

    @work
    async def _watch_backups(self) -> None:
        async for backups in running_backups():
            self.backups = backups

    def _fleet_changed(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def _is_backed_up(self, guest_id: GuestId) -> bool:
        return guest_id.uuid in self.backups

    @on(GuestsScreen.PingWanted)
    def _ping(self, event: GuestsScreen.PingWanted) -> None:
        if event.guest_id is not None:
            self._watch.ask(event.guest_id)
        if event.relist:
            self._watch.relist()

    @on(GuestsScreen.ConsoleWanted)
    def _open_console(self, event: GuestsScreen.ConsoleWanted) -> None:
        guest_id = event.guest_id
        if guest_id not in self._sessions:
            self._sessions[guest_id] = Session(self._hosts[guest_id.host].work_line(guest_id.uuid))
        self.push_screen(ConsoleScreen(self.fleet.guests[guest_id], self._sessions[guest_id]))

    @on(GuestsScreen.BackupWanted)
    def _open_backup(self, event: GuestsScreen.BackupWanted) -> None:
        host, guest = self._hosts[event.guest_id.host], self.fleet.guests[event.guest_id]
        self.push_screen(BackupScreen(host, guest, self._worker_argv, self._backups_folder))

    def action_help(self) -> None:
        """Show or hide the keys."""
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()
