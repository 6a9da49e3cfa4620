"""Asking agents: a question during another one is asked afterwards, and a host's agents are asked few at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.unit.test_fleet import OPEN, guest
from tui.agent.transport import Transport
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.prober import Prober
from tui.model.guest import Guest, GuestId
from tui.model.probe import ProbeOutcome, Silence, Unanswered


class FakeHangingLine:
    """Stands for an agent that answers when it is told to: a real one cannot be held at a chosen question."""

    def __init__(self) -> None:
        self.requests = 0
        self.release = asyncio.Event()

    async def send(self, request: str, timeout_s: int) -> str:
        self.requests += 1
        await self.release.wait()
        return '{"return": {}}' if "ping" in request else '{"return": "thawed"}'


async def test_a_question_that_comes_while_one_is_in_flight_is_asked_afterwards() -> None:
    line, asked = FakeHangingLine(), guest()
    told: asyncio.Queue[ProbeOutcome | None] = asyncio.Queue()
    known: dict[GuestId, Guest] = {asked.id: asked}
    prober = Prober(
        known.get,
        lambda _id: line,
        lambda _id, outcome: told.put_nowait(outcome),
        lambda _id, _facts: None,
        LivenessPolicy(cycle_s=3600),
    )
    running = asyncio.create_task(prober.run())
    prober.plan(asked)
    while line.requests == 0:  # noqa: ASYNC110
        await asyncio.sleep(0)
    prober.plan(replace(asked, probe=None))
    prober.ask_soon(asked.id)
    for _ in range(5):
        await asyncio.sleep(0)
    assert line.requests == 1
    line.release.set()
    async with asyncio.timeout(10):
        assert await told.get() is not None
        assert await told.get() is not None
    assert told.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class FakeHangingAgents:
    """Stands for the agents of a host, each of which hangs until it is released: real ones cannot be held so."""

    def __init__(self) -> None:
        self.hanging: list[str] = []
        self._released: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def line_to(self, guest_id: GuestId) -> Transport:
        return FakeLineToOneOfThem(self, guest_id.uuid)

    def release(self, uuid: str) -> None:
        """Let an agent answer from now on."""
        self._released[uuid].set()

    async def answer(self, uuid: str) -> None:
        """Hang until released."""
        self.hanging.append(uuid)
        await self._released[uuid].wait()
        self.hanging.remove(uuid)


class FakeLineToOneOfThem:
    def __init__(self, agents: FakeHangingAgents, uuid: str) -> None:
        self._agents, self._uuid = agents, uuid

    async def send(self, request: str, timeout_s: int) -> str:
        await self._agents.answer(self._uuid)
        return '{"return": "thawed"}' if "status" in request else '{"return": {}}'


@asynccontextmanager
async def prober_of(agents: FakeHangingAgents, *guests: Guest) -> AsyncIterator[tuple[Prober, set[str]]]:
    """A prober that runs, with the guests of which it has told something."""
    known, told = {guest.id: guest for guest in guests}, set[str]()
    prober = Prober(
        known.get,
        agents.line_to,
        lambda guest_id, _outcome: told.add(guest_id.uuid),
        lambda _id, _facts: None,
        LivenessPolicy(),
    )
    running = asyncio.create_task(prober.run())
    try:
        yield prober, told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settled() -> None:
    """Give every task that can go on the time to."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_at_most_three_agents_of_a_host_are_asked_at_once_and_all_in_the_end() -> None:
    agents, guests = FakeHangingAgents(), [guest(replace(OPEN, uuid=f"u{number}")) for number in range(9)]
    async with prober_of(agents, *guests) as (prober, told):
        for each in guests:
            prober.plan(each)
        for left in range(len(guests), 0, -1):
            await settled()
            assert len(agents.hanging) == min(left, 3)
            agents.release(agents.hanging[0])
        await settled()
        assert told == {each.id.uuid for each in guests}


async def test_agents_that_hang_leave_a_place_to_those_that_answer() -> None:
    agents = FakeHangingAgents()
    silent = [
        replace(guest(replace(OPEN, uuid=f"silent{number}")), probe=Unanswered(1.0, Silence.NO_REPLY, ""))
        for number in range(5)
    ]
    well = guest(replace(OPEN, uuid="well"))
    agents.release("well")
    async with prober_of(agents, *silent, well) as (prober, told):
        for each in silent:
            prober.ask_soon(each.id)
        await settled()
        assert len(agents.hanging) == 2
        prober.ask_soon(well.id)
        await settled()
        assert told == {"well"}
        assert len(agents.hanging) == 2
