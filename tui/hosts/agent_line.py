"""A domain's agent as a Transport: one call per domain at a time, whoever waits or leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tui.agent.errors import AgentBusyError, UnansweredError

_calls_in_flight: set[asyncio.Task[str]] = set()


class AgentTurn(asyncio.Lock):
    """Held by a call to an agent until the hypervisor has returned.

    `silence` is what the last call raised when it got no answer, or no turn among other programs' calls.
    """

    silence: UnansweredError | AgentBusyError | None = None


class AgentTurns:
    """The turns that let one call at a time to each domain's agent, for all lines of one host."""

    def __init__(self) -> None:
        self._turns: dict[str, AgentTurn] = {}

    def of(self, uuid: str) -> AgentTurn:
        """The turn of one domain."""
        return self._turns.setdefault(uuid, AgentTurn())


class AgentLine:
    """Sends requests to one domain's agent through `ask(request, timeout_s)`; see `agent.transport.Transport`.

    With `shares_silence`, a request that waited while another call got no answer is not sent: the agent was silent to
    it too, or busy for another program, and to ask anew would hold everybody up for as long again.
    """

    def __init__(
        self, ask: Callable[[str, int], Awaitable[str]], turn: AgentTurn, *, shares_silence: bool = False
    ) -> None:
        self._ask = ask
        self._turn = turn
        self._shares_silence = shares_silence

    async def send(self, request: str, timeout_s: int) -> str:
        """One request, one reply. A call that has begun keeps its turn to its end, even when the caller leaves."""
        begun = False

        async def in_turn() -> str:
            nonlocal begun
            has_waited = self._turn.locked()
            async with self._turn:
                silence = self._turn.silence
                if has_waited and self._shares_silence and silence is not None:
                    raise _again(silence) from silence
                begun = True
                self._turn.silence = None
                try:
                    return await self._ask(request, timeout_s)
                except (UnansweredError, AgentBusyError) as error:
                    self._turn.silence = error
                    raise

        call = asyncio.create_task(in_turn())
        _calls_in_flight.add(call)
        call.add_done_callback(_forget)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not begun:
                call.cancel()
            raise


def _again(silence: UnansweredError | AgentBusyError) -> UnansweredError | AgentBusyError:
    return type(silence)(silence.title, cause=silence.cause, next_step=silence.next_step, original=silence.original)


def _forget(call: asyncio.Task[str]) -> None:
    _calls_in_flight.discard(call)
    if not call.cancelled():
        call.exception()  # retrieved here, because the caller may have left
