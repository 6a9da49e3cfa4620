"""Opens consoles: of one guest, and of several at once; keeps them as long as the program runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from textual.app import App

from tui.console.consoles import Consoles
from tui.console.history import History
from tui.console.many import ManyGuest, ManyRun
from tui.console.running import RunningCommands
from tui.hosts.port import Host
from tui.model.guest import Guest, GuestId
from tui.screens.console import ConsoleScreen
from tui.screens.many_flow import run_in_many
from tui.system.audit_log import AuditTarget, audit_is_wanted

LEAVE_S = 0.4
"""Seconds that leaving may wait for guests."""


class ConsoleFlow:
    """Owned by the app; `changed` is handed the running commands by guest whenever one begins or ends."""

    def __init__(
        self, app: App[None], hosts: Mapping[str, Host], changed: Callable[[Mapping[GuestId, str]], None]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._running = RunningCommands(changed)
        self._consoles = Consoles(self._running)
        self._guests: Mapping[GuestId, Guest] = {}
        self._many: list[ManyRun] = []

    def screen_of(self, guest: Guest) -> ConsoleScreen:
        """The guest's console, as it was left."""
        line = self._host(guest).work_line(guest.id.uuid)
        target = self._target(guest) if audit_is_wanted() else None
        session = self._consoles.of(guest, line, target)
        return ConsoleScreen(guest, session, History.of(guest.id.uuid), self._consoles.lines_of(guest.id))

    def guests_changed(self, guests: Mapping[GuestId, Guest]) -> None:
        """Commands hear what becomes of their guests, whether they are looked at or not."""
        self._guests = guests
        self._consoles.guests_changed(guests)
        self._many = [run for run in self._many if not run.is_over]
        for run in self._many:
            run.guests_changed(guests)

    def open_many(self, guests: Sequence[Guest]) -> None:
        """One command in all these guests, after a question."""
        chosen = [
            ManyGuest(guest.id, self._host(guest).work_line(guest.id.uuid), self._target(guest)) for guest in guests
        ]
        self._app.run_worker(run_in_many(self._app, chosen, self._running, self._begun), name="many guests")

    def _begun(self, run: ManyRun) -> None:
        run.guests_changed(self._guests)
        self._many.append(run)

    async def leave(self) -> None:
        """Leave nothing of ours waiting in guests; one that does not answer now is swept by its next console."""
        await asyncio.wait({asyncio.create_task(self._consoles.leave())}, timeout=LEAVE_S)

    def _host(self, guest: Guest) -> Host:
        return self._hosts[guest.id.host]

    def _target(self, guest: Guest) -> AuditTarget:
        return AuditTarget(self._host(guest).uri, guest.name, guest.id.uuid)
