"""A fleet that is watched during a test, and a way to wait for what it is to become."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tui.fleet.fleet import Fleet
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.watch import FleetWatch
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentState, Guest

PATIENCE_S = 60.0
"""For a real change to arrive on a machine that boots other guests meanwhile; no measure of speed."""


class Watched:
    """The latest fleet, every agent state that was seen per guest, and waiting."""

    def __init__(self, hosts: tuple[LibvirtHost, ...], policy: LivenessPolicy) -> None:
        self._changed = asyncio.Condition()
        self.hosts = hosts
        self.states: dict[str, list[AgentState]] = {}
        self.watch = FleetWatch(hosts, self._fold, policy)

    def _fold(self, fleet: Fleet) -> None:
        for guest in fleet.guests.values():
            states = self.states.setdefault(guest.name, [])
            if states[-1:] != [guest.agent.state]:
                states.append(guest.agent.state)
        self._tell = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def guest(self, name: str) -> Guest | None:
        """The guest of that name as it is now."""
        return next((guest for guest in self.watch.fleet.guests.values() if guest.name == name), None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the fleet to become so; raises TimeoutError."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(condition)

    async def until_state(self, name: str, state: AgentState) -> Guest:
        """Wait for a guest's agent to be in a state and return the guest."""

        def reached() -> bool:
            guest = self.guest(name)
            return guest is not None and guest.agent.state is state

        try:
            await self.until(reached)
        except TimeoutError as error:
            raise AssertionError(f"{name} did not become {state}: {self.guest(name)}") from error
        guest = self.guest(name)
        assert guest is not None
        return guest


@asynccontextmanager
async def watched(*uris: str, policy: LivenessPolicy | None = None) -> AsyncIterator[Watched]:
    """Watch the hosts for the time of the body."""
    hosts = tuple(LibvirtHost(uri, f"host{number}") for number, uri in enumerate(uris))
    view = Watched(hosts, policy or LivenessPolicy())
    running = asyncio.create_task(view.watch.run())
    try:
        yield view
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for host in hosts:
            await host.close()
