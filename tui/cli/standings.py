"""How the guests of a verb's commands stand, as their hosts' events tell: the agents are not asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from tui.agent.exec_standing import Standing
from tui.console.guest_news import GuestStory
from tui.fleet.fleet import Fleet, first_seen
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.watch import FleetWatch
from tui.hosts.port import Host
from tui.model.guest import DomainFacts, GuestId

NO_PINGS = LivenessPolicy(cycle_s=0)


class Standings:
    """`tell` is handed a guest's name and words about what became of it while its command ran."""

    def __init__(self, guests: Sequence[tuple[Host, DomainFacts]], tell: Callable[[str, str], None]) -> None:
        self._hosts = tuple(dict.fromkeys(host for host, _ in guests))
        self._names = {GuestId(host.name, facts.uuid): facts.name for host, facts in guests}
        self._stories = {guest_id: GuestStory() for guest_id in self._names}
        self._running: set[GuestId] = set()
        self._tell = tell
        for host, facts in guests:
            seen = first_seen(host.name, facts)
            self._stories[seen.id].take(seen)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Hear from the hosts for as long as the block."""
        following = asyncio.create_task(FleetWatch(self._hosts, self._changed, NO_PINGS).run(), name="standings")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    @contextmanager
    def during(self, host: Host, facts: DomainFacts, standing: Standing | None = None) -> Iterator[Standing]:
        """How a guest stands for the command that runs in it for as long as the block; `standing` is what it has."""
        guest_id = GuestId(host.name, facts.uuid)
        self._running.add(guest_id)
        try:
            yield self._stories[guest_id].begin_run(standing)
        finally:
            self._running.discard(guest_id)

    def _changed(self, fleet: Fleet) -> None:
        for guest_id, story in self._stories.items():
            guest = fleet.guests.get(guest_id)
            # Before its host's first list is there, that a guest is in none says nothing.
            if guest is None and guest_id.host not in fleet.connected:
                continue
            words = story.take(guest)
            if words and guest_id in self._running:
                self._tell(self._names[guest_id], words)
