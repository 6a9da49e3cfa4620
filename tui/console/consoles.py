"""The consoles of a program by guest: they outlive the screens, and tell which of them run a command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from tui.agent.transport import Transport
from tui.console.audit import Target
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, CommandStarted, SessionFact
from tui.model.guest import GuestId


class Consoles:
    """Makes each guest's session once."""

    def __init__(self, changed: Callable[[Mapping[GuestId, str]], None]) -> None:
        """`changed` is handed the running commands, as typed, whenever one begins or ends."""
        self._changed = changed
        self._sessions: dict[GuestId, Session] = {}
        self._running: Mapping[GuestId, str] = MappingProxyType({})

    def of(self, guest_id: GuestId, transport: Transport, target: Target | None) -> Session:
        """The guest's session; the first call decides about line and log."""
        session = self._sessions.get(guest_id)
        if session is None:
            session = self._sessions[guest_id] = Session(transport, target=target)
            session.subscribe(partial(self._happened, guest_id, session))
        return session

    async def leave(self) -> None:
        """Take back what waits in the guests for commands that will not come."""
        await asyncio.gather(*(session.leave() for session in self._sessions.values()))

    def _happened(self, guest_id: GuestId, session: Session, fact: SessionFact) -> None:
        if not isinstance(fact, CommandStarted | CommandEnded):
            return
        running = {other: line for other, line in self._running.items() if other != guest_id}
        if isinstance(fact, CommandStarted) and session.last is not None:
            running[guest_id] = session.last.line
        self._running = MappingProxyType(running)
        self._changed(self._running)
