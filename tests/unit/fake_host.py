"""A host whose answers are held back and given by the test: no real one can be stopped at a chosen moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tui.agent.errors import HostGoneError
from tui.agent.transport import Transport
from tui.hosts.daemon_process import DaemonProcess
from tui.hosts.port import Host, NoSuchDomainError
from tui.model.events import HostEvent
from tui.model.guest import DomainFacts


class FakeDeadLine(Transport):
    """Stands for a line to an agent whose connection is gone."""

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, request: str, timeout_s: int) -> str:
        """Fail as such a line does."""
        self.requests += 1
        raise HostGoneError("The connection to libvirt was lost")


class FakeHost:
    """Stands for a host with `domains`. A list takes them when it is asked and answers once `list_may_answer` is set.

    `trouble` is raised by the next list; `opened` counts the connections.
    """

    def __init__(self, name: str, *domains: DomainFacts) -> None:
        self.name = name
        self.uri = f"fake:///{name}"
        self.read_only = False
        self.domains = {each.uuid: each for each in domains}
        self.list_may_answer = asyncio.Event()
        self.list_may_answer.set()
        self.lists_asked = 0
        self.reads_asked = 0
        self.trouble: Exception | None = None
        self.opened = 0
        self.line = FakeDeadLine()
        self._listeners: list[Callable[[HostEvent], None]] = []

    @property
    def as_host(self) -> Host:
        """Itself, typed as what it stands for."""
        return cast("Host", self)

    async def open(self) -> None:
        """Count."""
        self.opened += 1

    async def close(self) -> None:
        """Let go of nothing."""

    def subscribe(self, listener: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Take a listener."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def happen(self, event: HostEvent) -> None:
        """Tell of an event."""
        for listener in self._listeners:
            listener(event)

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        """The domains as they were when it was asked."""
        self.lists_asked += 1
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        listed = tuple(self.domains.values())
        await self.list_may_answer.wait()
        return listed

    async def daemon_process(self) -> DaemonProcess:
        """None: nothing of it is on any machine."""
        return DaemonProcess(doubt="a fake host has no daemon")

    async def read_domain(self, uuid: str) -> DomainFacts:
        """One domain as it is."""
        self.reads_asked += 1
        if uuid not in self.domains:
            raise NoSuchDomainError("There is no such guest on this host")
        return self.domains[uuid]

    def probe_line(self, _uuid: str) -> FakeDeadLine:
        """A line that is dead."""
        return self.line
