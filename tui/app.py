"""The application: hosts in, screens out. Wiring only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.command import Provider
from textual.reactive import reactive

from tui.backup.attention import at_work, running_backups
from tui.backup.leftovers import Leftover
from tui.backup.runstate import RunState
from tui.fleet.fleet import Fleet
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.watch import FleetWatch
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.guest import Guest, GuestId
from tui.screens.backup_flow import BackupFlow
from tui.screens.calls import CallsScreen
from tui.screens.console_flow import ConsoleFlow
from tui.screens.details import DetailsScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.doctor_rounds import RoundsScreen
from tui.screens.guests import GuestsScreen
from tui.screens.help import HelpScreen
from tui.screens.jobs import JobsScreen
from tui.screens.palette import CommandsProvider
from tui.screens.power_flow import change_power
from tui.screens.restore_flow import RestoreFlow
from tui.screens.restore_wanted import RestoreWanted
from tui.screens.serial import open_serial
from tui.widgets.bindings import bindings
from tui.widgets.crash import TellingApp
from tui.widgets.held_keys import HoldsKeys
from tui.widgets.stylesheets import style_paths
from tui.widgets.tones import dress


class QgaTui(HoldsKeys, TellingApp):
    """Shows the fleet and opens what the user asks for.

    `worker_argv` is the command that a backup runs in; `backups_folder` the target offered first, `overlays_folder`
    where guests write to meanwhile, None beside their images.
    """

    TITLE = "qga-tui"
    CSS_PATH = style_paths()
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = TellingApp.COMMANDS | {CommandsProvider}
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.ANYWHERE)

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)
    backups: reactive[Mapping[str, RunState]] = reactive(MappingProxyType({}), init=False)
    commands: reactive[Mapping[GuestId, str]] = reactive(MappingProxyType({}), init=False)
    leftovers: reactive[Mapping[str, tuple[Leftover, ...]]] = reactive(MappingProxyType({}), init=False)

    def __init__(
        self,
        hosts: tuple[Host, ...],
        worker_argv: tuple[str, ...] = (),
        backups_folder: Path | None = None,
        overlays_folder: Path | None = None,
        *,
        policy: LivenessPolicy | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__()
        dress(self)
        self._hosts = {host.name: host for host in hosts}
        self._backup_flow = BackupFlow(
            self, self._hosts, worker_argv, backups_folder, read_only=read_only, found=self._leftovers_found
        )
        self._backup_flow.overlays = overlays_folder
        self._restore_flow = RestoreFlow(self, self._hosts, worker_argv, backups_folder, read_only=read_only)
        self._read_only = read_only
        self._repaint_due = False
        self._console_flow = ConsoleFlow(self, self._hosts, self._commands_changed)
        self._watch = FleetWatch(hosts, self._fleet_changed, policy, lambda each: at_work(self.backups, each.uuid))
        self.fleet = self._watch.fleet

    def get_default_screen(self) -> GuestsScreen:
        """The guest list."""
        screen = GuestsScreen(self._hosts, read_only=self._read_only)
        return screen.data_bind(QgaTui.fleet, QgaTui.backups, QgaTui.commands, QgaTui.leftovers)

    def on_ready(self) -> None:
        """The first paint is done: now hosts may be asked."""
        self.run_worker(self._watch.run(), name="fleet")
        self._watch_backups()

    @work
    async def _watch_backups(self) -> None:
        async for backups in running_backups():
            self.backups = backups

    def _fleet_changed(self, _fleet: Fleet) -> None:
        """Changes of one moment are shown together."""
        if not self._repaint_due:
            self._repaint_due = True
            self.call_later(self._show_fleet)

    def _show_fleet(self) -> None:
        self._repaint_due = False
        connected = self.fleet.connected
        self.fleet = self._watch.fleet
        self._console_flow.guests_changed(self.fleet.guests)
        for name in sorted(self.fleet.connected - connected):
            self._backup_flow.scan(name)

    @on(GuestsScreen.JobsWanted)
    def _open_jobs(self) -> None:
        self._backup_flow.scan_connected(self.fleet)
        self.push_screen(JobsScreen(read_only=self._read_only).data_bind(QgaTui.leftovers))

    @on(GuestsScreen.RestoreWanted)
    def _open_restores(self, event: GuestsScreen.RestoreWanted) -> None:
        self._restore_flow.open_list(event.guest)

    @on(RestoreWanted)
    def _open_restore(self, event: RestoreWanted) -> None:
        self._restore_flow.open_backup(self.fleet, event.found)

    @on(JobsScreen.JobWanted)
    def _open_job(self, event: JobsScreen.JobWanted) -> None:
        self._backup_flow.open_job(self.fleet, event.job)

    @on(JobsScreen.RescueWanted)
    def _open_rescue(self, event: JobsScreen.RescueWanted) -> None:
        self._backup_flow.open_rescue(event.host, event.leftover)

    def _leftovers_found(self, host_name: str, found: tuple[Leftover, ...]) -> None:
        self.leftovers = MappingProxyType({**self.leftovers, host_name: found})

    @on(GuestsScreen.PingWanted)
    def _ping(self, event: GuestsScreen.PingWanted) -> None:
        if event.relist:
            self._watch.relist()
        if event.guest_id is not None:
            self._watch.ask(event.guest_id, unbidden=not event.relist)

    @on(GuestsScreen.ColumnsShown)
    def _sample_what_is_shown(self, event: GuestsScreen.ColumnsShown) -> None:
        self._watch.sample(cpu="cpu" in event.keys, addresses="address" in event.keys)

    @on(GuestsScreen.Wanted)
    def _act(self, event: GuestsScreen.Wanted) -> None:
        guest = event.guests[0]
        match event.action:
            case "console":
                self.push_screen(self._console_flow.screen_of(guest).data_bind(QgaTui.fleet))
            case "many":
                self._console_flow.open_many(event.guests)
            case "backup":
                self._backup_flow.open_backups(event.guests)
            case "details":
                details = DetailsScreen(self._hosts[guest.id.host], guest, self.fleet, self.backups)
                self.push_screen(details.data_bind(QgaTui.fleet, QgaTui.backups))
            case "doctor":
                self._open_doctor(guest)
            case "rounds":
                wanted = tuple(each.id for each in event.guests)
                self.push_screen(RoundsScreen(self._hosts, self.fleet, self._held_by_backup, wanted))
            case "serial":
                self.run_worker(open_serial(self, self._hosts[guest.id.host].uri, guest), name="serial")
            case "power":
                self.run_worker(change_power(self, self._hosts, event.guests), name="power")

    def _commands_changed(self, running: Mapping[GuestId, str]) -> None:
        self.commands = running

    async def on_unmount(self) -> None:
        """Take the consoles' shells back out of the guests."""
        await self._console_flow.leave()

    def action_calls(self) -> None:
        """Show the libvirt calls."""
        self.push_screen(CallsScreen(self._hosts.values()))

    @on(RoundsScreen.DoctorWanted)
    def _open_doctor_from_rounds(self, event: RoundsScreen.DoctorWanted) -> None:
        if event.guest_id in self.fleet.guests:
            self._open_doctor(self.fleet.guests[event.guest_id])

    def _open_doctor(self, guest: Guest) -> None:
        host = self._hosts[guest.id.host]
        screen = DoctorScreen(host, guest, self._held_by_backup, read_only=self._read_only or host.read_only)
        self.push_screen(screen.data_bind(QgaTui.fleet))

    @on(DoctorScreen.Mended)
    def _look_at_mended(self, event: DoctorScreen.Mended) -> None:
        self._watch.ask(event.guest_id)
        self._watch.relist()

    def _held_by_backup(self, uuid: str) -> str:
        return "A backup is at work on this guest" if at_work(self.backups, uuid) else ""

    def action_help(self) -> None:
        """Show what the keys do here."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(getattr(self.screen, "WHERE", None), self.screen.HELP or ""))
