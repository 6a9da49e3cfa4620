"""Keeps the fleet true: connects to hosts, folds their events and answers, and connects again when they are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from tui.doctor import known_systems
from tui.fleet import fleet as folding
from tui.fleet.fleet import Fleet, HostStatus, Link
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.prober import Prober
from tui.fleet.read_order import ReadOrder
from tui.fleet.sampling import Sampler
from tui.hosts.port import Host, HostError, HostSilentError, NoSuchDomainError
from tui.model.events import (
    AgentPortClosed,
    AgentPortOpened,
    BlockJobChanged,
    DomainChanged,
    DomainRemoved,
    HostEvent,
    HostLost,
)
from tui.model.guest import REBOOTED, AgentFacts, DomainFacts, Guest, GuestId, HappeningKind
from tui.model.probe import ProbeOutcome, Silence, Unanswered

RELIST_S = 60.0
"""Seconds between full lists: the stored XML changes without an event."""

BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each next attempt to connect; the last one repeats."""


class FleetWatch:
    """The living fleet. `on_change` is called with every next value, on the event loop."""

    def __init__(
        self,
        hosts: tuple[Host, ...],
        on_change: Callable[[Fleet], None],
        policy: LivenessPolicy | None = None,
        is_held: Callable[[GuestId], bool] = lambda _id: False,
    ) -> None:
        self.fleet = Fleet(hosts=tuple(HostStatus(host.name, host.uri) for host in hosts))
        self._on_change = on_change
        self._policy = policy or LivenessPolicy()
        self._watches = {host.name: HostWatch(host, self, self._policy, is_held) for host in hosts}

    async def run(self) -> None:
        """Watch every host until cancelled; one host's trouble is no other's."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches.values():
                group.create_task(watch.run())

    def ask(self, guest_id: GuestId, *, unbidden: bool = False) -> None:
        """Ping a guest before its turn; `unbidden` where nobody gave that order, which a policy of silence forbids."""
        if unbidden and not self._policy.asks_by_itself:
            return
        if guest_id in self.fleet.guests and guest_id.host in self._watches:
            self._watches[guest_id.host].prober.ask_soon(guest_id)

    def sample(self, *, cpu: bool, addresses: bool) -> None:
        """Say what somebody looks at, of what no event tells."""
        for watch in self._watches.values():
            watch.sampler.want(cpu=cpu, addresses=addresses)

    def relist(self) -> None:
        """Read every host's list anew, soon."""
        for watch in self._watches.values():
            watch.relist_soon()

    def become(self, fleet: Fleet) -> None:
        """Make `fleet` the current one and tell of it where it differs."""
        if fleet is not self.fleet:
            self.fleet = fleet
            self._on_change(fleet)


class HostWatch:
    """The part of the watch that looks at one host."""

    def __init__(
        self, host: Host, watch: FleetWatch, policy: LivenessPolicy, is_held: Callable[[GuestId], bool]
    ) -> None:
        self._host = host
        self._watch = watch
        self._lost = asyncio.Event()
        self._list_wanted = asyncio.Event()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._read_again: set[str] = set()
        self._order = ReadOrder()
        self.sampler = Sampler(host, lambda: watch.fleet, self._sampled)
        self.prober = Prober(
            self._guest,
            lambda guest_id: host.probe_line(guest_id.uuid),
            self._told,
            self._introduced,
            policy,
            is_held,
        )

    def relist_soon(self) -> None:
        """Read the list before its turn; connect at once where the host is lost."""
        self._list_wanted.set()

    async def run(self) -> None:
        """Connect, watch until lost, and again, until cancelled."""
        unsubscribe = self._host.subscribe(self._happened)
        beside = [asyncio.create_task(self.prober.run()), asyncio.create_task(self.sampler.run())]
        failures = 0
        try:
            while True:
                self._lost.clear()
                self.prober.begin_anew()
                try:
                    await self._host.open()
                    await self._list()
                    failures = 0
                    await self._relist_until_lost()
                except HostError as error:
                    self._set_link(Link.SILENT if isinstance(error, HostSilentError) else Link.LOST, error.one_line())
                    failures += 1
                except Exception as error:  # noqa: BLE001 - what nobody foresaw in one host ends no other's watch
                    self._set_link(Link.LOST, f"it cannot be watched: {type(error).__name__}: {error}")
                    failures += 1
                await self._wait(self._list_wanted, BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                self._list_wanted.clear()
        finally:
            unsubscribe()
            for task in (*beside, *self._reading.values()):
                task.cancel()

    async def _relist_until_lost(self) -> None:
        while not self._lost.is_set():
            await self._wait(self._list_wanted, RELIST_S)
            self._list_wanted.clear()
            if not self._lost.is_set():
                await self._list()

    @staticmethod
    async def _wait(event: asyncio.Event, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    async def _list(self) -> None:
        asked_at, asked = time.time(), self._order.ask()
        listed = await self._host.list_domains()
        name, guests = self._host.name, self._watch.fleet.of_host(self._host.name)
        news = [facts for facts in listed if self._order.is_news(facts.uuid, asked)]
        there = {each.uuid for each in listed}
        gone = [each.id for each in guests if each.id.uuid not in there and self._order.is_news(each.id.uuid, asked)]
        self._order.all_answered(asked)
        fleet = self._watch.fleet.without(*gone).with_guests(*(self._with_facts(facts, asked_at) for facts in news))
        self._watch.become(fleet)
        self._set_link(Link.CONNECTED, "")
        self.sampler.look_again()
        for guest in fleet.of_host(name):
            self.prober.plan(guest)

    def _with_facts(self, facts: DomainFacts, asked_at: float) -> Guest:
        guest = self._guest(GuestId(self._host.name, facts.uuid))
        if guest is None:
            return folding.first_seen(self._host.name, facts)
        return folding.facts_read(guest, facts, asked_at, time.time())

    def _guest(self, guest_id: GuestId) -> Guest | None:
        return self._watch.fleet.guests.get(guest_id)

    def _set_link(self, link: Link, why: str) -> None:
        status = self._watch.fleet.host(self._host.name)
        read_only = self._host.read_only
        if (status.link, status.why, status.read_only) != (link, why, read_only):
            since = status.since if status.link is link else time.time()
            changed = replace(status, link=link, why=why, since=since, read_only=read_only)
            fleet = self._watch.fleet.with_host(changed)
            if changed.is_away and not status.is_away:
                now = time.time()
                fleet = fleet.with_guests(*(folding.out_of_sight(guest, now) for guest in fleet.of_host(status.name)))
            self._watch.become(fleet)

    def _replace(self, guest: Guest) -> None:
        self._watch.become(self._watch.fleet.with_guests(guest))
        self.prober.plan(guest)

    def _told(self, guest_id: GuestId, outcome: ProbeOutcome | None) -> None:
        guest = self._guest(guest_id)
        if guest is None:
            return
        if outcome is None:
            self._read_soon(guest_id.uuid)
        else:
            if isinstance(outcome, Unanswered) and outcome.silence is Silence.NOT_RETURNED:
                self.relist_soon()  # whether libvirt itself hangs, its list tells
            self._replace(folding.probed(guest, outcome))

    def _introduced(self, guest_id: GuestId, facts: AgentFacts) -> None:
        guest = self._guest(guest_id)
        if guest is not None:
            before = guest.agent_facts
            if facts.os_id and (before is None or (before.os_id, before.os_name) != (facts.os_id, facts.os_name)):
                known_systems.remember_soon(guest_id.uuid, facts.os_id, facts.os_name)
            self._watch.become(self._watch.fleet.with_guests(folding.introduced(guest, facts, time.time())))

    def _sampled(self, guests: tuple[Guest, ...]) -> None:
        self._watch.become(self._watch.fleet.with_guests(*guests))

    def _happened(self, event: HostEvent) -> None:
        match event:
            case HostLost(why=why):
                self._lost.set()
                self._list_wanted.set()
                self._set_link(Link.LOST, why)
            case AgentPortOpened(uuid=uuid) | AgentPortClosed(uuid=uuid):
                guest = self._guest(GuestId(self._host.name, uuid))
                if guest is not None:
                    self._replace(folding.port_changed(guest, event))
                self._read_soon(uuid)
            case DomainChanged(uuid=uuid, what=what, at=at):
                self._remember(uuid, what, at)
                self._read_soon(uuid)
            case DomainRemoved(uuid=uuid):
                self._read_soon(uuid)
            case BlockJobChanged(uuid=uuid, target=target, end=end, at=at):
                self._remember(uuid, f"block job on {target} {end}", at)

    def _remember(self, uuid: str, what: str, at: float) -> None:
        guest = self._guest(GuestId(self._host.name, uuid))
        if guest is not None:
            kind = HappeningKind.STARTED if what in {HappeningKind.STARTED, REBOOTED} else HappeningKind.OTHER
            self._watch.become(self._watch.fleet.with_guests(folding.remembered(guest, what, at, kind)))

    def _read_soon(self, uuid: str) -> None:
        if uuid in self._reading:
            self._read_again.add(uuid)
            return
        task = asyncio.create_task(self._read(uuid))
        self._reading[uuid] = task
        task.add_done_callback(lambda _task: self._read_ended(uuid))

    def _read_ended(self, uuid: str) -> None:
        self._reading.pop(uuid, None)
        if uuid in self._read_again:
            self._read_again.discard(uuid)
            self._read_soon(uuid)

    async def _read(self, uuid: str) -> None:
        asked_at, asked = time.time(), self._order.ask()
        facts: DomainFacts | None = None
        try:
            facts = await self._host.read_domain(uuid)
        except NoSuchDomainError:
            pass  # then it is gone
        except HostError:
            return  # the list read after the next connection tells
        except Exception:  # noqa: BLE001 - the list keeps its row and tells why it cannot be read
            self.relist_soon()
            return
        if not self._order.is_news(uuid, asked):
            return
        self._order.answered(uuid, asked)
        if facts is None:
            self._watch.become(self._watch.fleet.without(GuestId(self._host.name, uuid)))
        else:
            self._replace(self._with_facts(facts, asked_at))
