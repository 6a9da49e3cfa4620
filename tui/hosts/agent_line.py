"""A domain's agent as a Transport: one call per domain at a time, whoever waits or leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tui.agent.errors import UnansweredError

_calls_in_flight: set[asyncio.Task[str]] = set()


class AgentTurn(asyncio.Lock):
    """Held by a call to an agent until the hypervisor has returned; `end` is then done, with the error of a silence."""

    end: asyncio.Future[UnansweredError | None] | None = None

    async def over(self) -> UnansweredError | None:
        """Wait for the call in flight alone; the error where that one got no answer, None also where there was none."""
        return None if self.end is None else await asyncio.shield(self.end)


class AgentTurns:
    """The turns that let one call at a time to each domain's agent, for all lines of one host."""

    def __init__(self) -> None:
        self._turns: dict[str, AgentTurn] = {}

    def of(self, uuid: str) -> AgentTurn:
        """The turn of one domain."""
        return self._turns.setdefault(uuid, AgentTurn())


class AgentLine:
    """Sends requests to one domain's agent through `ask(request, timeout_s)`; see `agent.transport.Transport`."""

    def __init__(self, ask: Callable[[str, int], Awaitable[str]], turn: AgentTurn) -> None:
        self._ask = ask
        self._turn = turn

    async def send(self, request: str, timeout_s: int) -> str:
        """One request, one reply. A call that has begun keeps its turn to its end, even when the caller leaves."""
        begun = False

        async def in_turn() -> str:
            nonlocal begun
            async with self._turn:
                begun = True
                end = self._turn.end = asyncio.get_running_loop().create_future()
                silence: UnansweredError | None = None
                try:
                    return await self._ask(request, timeout_s)
                except UnansweredError as error:
                    silence = error
                    raise
                finally:
                    self._turn.end = None
                    end.set_result(silence)

        call = asyncio.create_task(in_turn())
        _calls_in_flight.add(call)
        call.add_done_callback(_forget)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not begun:
                call.cancel()
            raise


def _forget(call: asyncio.Task[str]) -> None:
    _calls_in_flight.discard(call)
    if not call.cancelled():
        call.exception()  # retrieved here, because the caller may have left
