"""Who asks about an agent while an older question is still in flight gets an answer of now."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.unit.test_fleet import guest
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.prober import Prober
from tui.model.guest import Guest, GuestId
from tui.model.probe import ProbeOutcome


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
