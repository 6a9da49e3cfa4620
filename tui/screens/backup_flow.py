"""Opens everything about backups: one guest's, the list of all, and the way home for what was left behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from textual.app import App

from tui.backup.jobs import Job
from tui.backup.leftovers import Leftover
from tui.backup.runs import RestoreRun, Run
from tui.backup.scan import find_leftovers
from tui.fleet.fleet import Fleet, Link
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.screens.backup import BackupScreen
from tui.screens.backup_queue import BackupQueueScreen
from tui.screens.flow import Flow
from tui.screens.guests import GuestsScreen
from tui.screens.rescue import RescueScreen
from tui.screens.restore_run import RestoreRunScreen
from tui.screens.used_marks import take_marks_away

logger = logging.getLogger(__name__)


class BackupFlow(Flow):
    """Owned by the app; `found` takes what a look at a host has found."""

    def __init__(
        self,
        app: App[None],
        hosts: Mapping[str, Host],
        worker_argv: tuple[str, ...],
        folder: Path | None,
        *,
        read_only: bool,
        found: Callable[[str, tuple[Leftover, ...]], None],
    ) -> None:
        super().__init__(app, hosts, worker_argv, folder, read_only=read_only)
        self._found = found
        self.overlays: Path | None = None
        """The folder for overlays that is offered."""

    def scan(self, host_name: str) -> None:
        """Look, read-only and beside everything else, for what backups left behind on a host."""
        self._app.run_worker(self._scan(host_name), name="leftovers")

    async def _scan(self, host_name: str) -> None:
        try:
            found = await find_leftovers(self._hosts[host_name])
        except ExplainedError as error:
            logger.warning("no look for leftovers on %s: %s", host_name, error.one_line())
            return
        self._found(host_name, found)

    def scan_connected(self, fleet: Fleet) -> None:
        """Look on every host that can be asked."""
        for host in fleet.hosts:
            if host.link is Link.CONNECTED:
                self.scan(host.name)

    def open_backups(self, guests: tuple[Guest, ...]) -> None:
        """One guest's backup, or the wizard for several, after which the list of all shows them wait and run.

        Marks on the guests are used up by backups that were begun.
        """

        def left(begun: bool | None) -> None:
            if begun:
                take_marks_away(self._app, guests)
            if begun and len(guests) > 1:
                self._app.post_message(GuestsScreen.JobsWanted())

        if len(guests) == 1:
            self._app.push_screen(self._backup_screen(guests[0]), left)
        else:
            self._app.push_screen(self._queue_screen(guests), left)

    def _queue_screen(self, guests: tuple[Guest, ...]) -> BackupQueueScreen:
        return BackupQueueScreen(self._hosts, guests, self._worker_argv, self._folder, overlays=self.overlays)

    def _backup_screen(self, guest: Guest, run: Run | None = None) -> BackupScreen:
        """The wizard of a guest, or its running or last backup; `run` shows that one."""
        host = self._hosts[guest.id.host]
        read_only = self._read_only or host.read_only
        return BackupScreen(
            host, guest, self._worker_argv, self._folder, run, read_only=read_only, overlays=self.overlays
        )

    def open_job(self, fleet: Fleet, job: Job) -> None:
        """A backup or a restore of the list of all."""
        if isinstance(job.run, RestoreRun):
            screen = RestoreRunScreen(job.run, self._worker_argv[:-1], may_insist=False, read_only=self._read_only)
            self._app.push_screen(screen)
            return
        uuid = job.run.plan.uuid
        guest = next((guest for guest in fleet.guests.values() if guest.id.uuid == uuid), None)
        if guest is None:
            self._app.notify("Its guest is on none of the connected hosts.", severity="warning", markup=False)
        else:
            self._app.push_screen(self._backup_screen(guest, job.run))

    def open_rescue(self, host_name: str, leftover: Leftover) -> None:
        """The way home for a guest; afterwards its host is looked at again."""

        def look_again(mended: bool | None) -> None:
            if mended:
                self.scan(host_name)

        read_only = self._read_only or self._hosts[host_name].read_only
        rescue = RescueScreen(leftover, self._worker_argv[:-1], read_only=read_only)
        self._app.push_screen(rescue, look_again)
