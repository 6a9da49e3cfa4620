"""The consoles of a program by guest: they outlive the screens, and tell which of them run a command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from tui.agent.transport import Transport
from tui.console.entry import in_one_line
from tui.console.line_queue import LineQueue
from tui.console.running import RunningCommands
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, CommandStarted, SessionFact
from tui.model.guest import Guest, GuestId
from tui.system.audit_log import AuditTarget


class Consoles:
    """Makes each guest's session once."""

    def __init__(self, running: RunningCommands) -> None:
        """`running` is told of every command."""
        self._running = running
        self._sessions: dict[GuestId, Session] = {}
        self._queues: dict[GuestId, LineQueue] = {}
        self._numbers: dict[GuestId, int] = {}

    def of(self, guest: Guest, transport: Transport, target: AuditTarget | None) -> Session:
        """The guest's session; the first call decides about line and log."""
        session = self._sessions.get(guest.id)
        if session is None:
            session = self._sessions[guest.id] = Session(transport, target=target)
            session.subscribe(partial(self._happened, guest.id, session))
            session.guest_changed(guest)
            self._queues[guest.id] = LineQueue(session)
        return session

    def lines_of(self, guest_id: GuestId) -> LineQueue:
        """The lines that were entered for a guest whose session was made."""
        return self._queues[guest_id]

    def guests_changed(self, guests: Mapping[GuestId, Guest]) -> None:
        """Take all guests as their hypervisors show them now."""
        for guest_id, session in self._sessions.items():
            session.guest_changed(guests.get(guest_id))

    async def leave(self) -> None:
        """Take back what waits in the guests for commands that will not come."""
        await asyncio.gather(*(session.leave() for session in self._sessions.values()))

    def _happened(self, guest_id: GuestId, session: Session, fact: SessionFact) -> None:
        match fact:
            case CommandStarted() if session.last is not None:
                self._numbers[guest_id] = self._running.begin(guest_id, in_one_line(session.last.line))
            case CommandEnded() if guest_id in self._numbers:
                self._running.end(self._numbers.pop(guest_id))
            case _:
                return
