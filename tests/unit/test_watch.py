"""The watch over a host: the newest answer counts whenever it comes, and one host's trouble stays its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.unit.fake_host import FakeHost
from tests.unit.test_fleet import OFF, OPEN
from tui.fleet.fleet import Fleet, Link
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.watch import FleetWatch
from tui.hosts.domain_xml import MalformedXmlError
from tui.model.events import DomainChanged, DomainRemoved
from tui.model.guest import AgentState, Channel, GuestId, PowerState

CLOSED = replace(OPEN, channel=Channel.CLOSED)
NEVER = LivenessPolicy(cycle_s=0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


@asynccontextmanager
async def watching(*hosts: FakeHost, policy: LivenessPolicy = NEVER) -> AsyncIterator[FleetWatch]:
    """A watch over the hosts for the time of the body, which fails where the watch ends by itself."""
    changes: list[Fleet] = []
    watch = FleetWatch(tuple(host.as_host for host in hosts), changes.append, policy)
    running = asyncio.create_task(watch.run())
    try:
        yield watch
        assert not running.done(), "the watch has ended by itself"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def power_of(watch: FleetWatch, uuid: str) -> PowerState | None:
    """What is shown of a guest of the only host."""
    guest = watch.fleet.guests.get(GuestId("kvm7", uuid))
    return None if guest is None else guest.facts.power


async def test_a_list_that_answers_late_undoes_nothing_that_was_read_meanwhile() -> None:
    born, gone = replace(CLOSED, uuid="born"), replace(CLOSED, uuid="gone")
    host = FakeHost("kvm7", CLOSED, gone)
    async with watching(host) as watch:
        await until(lambda: power_of(watch, "gone") is not None)
        host.list_may_answer.clear()
        watch.relist()
        await until(lambda: host.lists_asked == 2)
        host.domains = {OFF.uuid: OFF, born.uuid: born}
        host.happen(DomainChanged("kvm7", OFF.uuid, "stopped", 1.0))
        host.happen(DomainChanged("kvm7", born.uuid, "defined", 1.0))
        host.happen(DomainRemoved("kvm7", gone.uuid, 1.0))
        now = {OFF.uuid: PowerState.OFF, "born": PowerState.RUNNING, "gone": None}
        await until(lambda: {uuid: power_of(watch, uuid) for uuid in now} == now)
        shown = watch.fleet
        watch.relist()
        host.list_may_answer.set()
        await until(lambda: host.lists_asked == 3)
        assert watch.fleet is shown
        host.domains = {}
        watch.relist()
        await until(lambda: not watch.fleet.guests)


@pytest.mark.parametrize(
    "trouble",
    [
        MalformedXmlError("The domain's XML cannot be read", cause="no element found"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
async def test_what_nobody_foresaw_on_one_host_is_its_reason_and_no_others_end(trouble: Exception) -> None:
    host, other = FakeHost("kvm7", CLOSED), FakeHost("kvm8", CLOSED)
    host.trouble = trouble
    async with watching(host, other) as watch:
        await until(lambda: watch.fleet.host("kvm7").link is Link.LOST)
        assert str(trouble) in watch.fleet.host("kvm7").why
        await until(lambda: watch.fleet.host("kvm8").link is Link.CONNECTED)
        watch.relist()
        await until(lambda: watch.fleet.host("kvm7").link is Link.CONNECTED)
        assert power_of(watch, CLOSED.uuid) is PowerState.RUNNING


async def test_a_guest_that_cannot_be_read_alone_is_told_of_by_the_list() -> None:
    host = FakeHost("kvm7", CLOSED)

    async def ill(_uuid: str) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    async with watching(host) as watch:
        await until(lambda: watch.fleet.host("kvm7").link is Link.CONNECTED)
        host.domains[CLOSED.uuid] = replace(CLOSED, channel=Channel.UNKNOWN, unread="its definition cannot be read: x")
        host.read_domain = ill  # type: ignore[method-assign, assignment]
        host.happen(DomainChanged("kvm7", CLOSED.uuid, "changed", 1.0))
        await until(lambda: watch.fleet.guests[GuestId("kvm7", CLOSED.uuid)].agent.state is AgentState.UNKNOWN)
        (guest,) = watch.fleet.guests.values()
        assert guest.agent.reason == "its definition cannot be read: x"
        assert guest.facts.power is PowerState.RUNNING


async def test_an_agent_that_was_asked_in_vain_is_not_asked_again_at_once() -> None:
    host = FakeHost("kvm7", OPEN)
    async with watching(host, policy=LivenessPolicy()) as watch:
        await until(lambda: host.reads_asked == 1)
        for _ in range(200):
            await asyncio.sleep(0)
        assert host.line.requests == 1
        assert watch.fleet.guests[GuestId("kvm7", OPEN.uuid)].agent.state is AgentState.CONNECTED


async def test_agents_are_asked_by_order_alone_where_pings_are_off() -> None:
    host = FakeHost("kvm7", OPEN)
    async with watching(host) as watch:
        await until(lambda: power_of(watch, OPEN.uuid) is not None)
        asked = GuestId("kvm7", OPEN.uuid)
        watch.ask(asked, unbidden=True)
        for _ in range(20):
            await asyncio.sleep(0)
        assert host.line.requests == 0
        watch.ask(asked)
        await until(lambda: host.line.requests > 0)
