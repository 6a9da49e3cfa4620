"""A domain's agent as a Transport: one call per domain at a time, whoever waits or leaves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from tui.agent.errors import AgentBusyError, NotReturnedError, UnansweredError

SYNC_S = 5
"""Seconds that libvirt 9.0 waits at least for an agent's guest-sync, whatever timeout it was given."""
Ask: TypeAlias = Callable[[str, int, Callable[[], None]], Awaitable[str]]
"""Request, timeout in seconds, and what to call in the event loop once the hypervisor is asked; returns the reply."""

_calls_in_flight: set[asyncio.Task[str]] = set()


def longest_turn_s(timeout_s: int) -> int:
    """Seconds after which a call that libvirt had passed on would have returned: its sync, its own time, and one."""
    return max(timeout_s, SYNC_S) + timeout_s + 1


class AgentTurn(asyncio.Lock):
    """Held by a call to an agent until the hypervisor has returned.

    `silence` is what the last call raised when it got no answer, or no turn among other programs' calls.
    """

    silence: UnansweredError | AgentBusyError | None = None


class AgentTurns:
    """The turns that let one call at a time to each domain's agent, for all lines of one host; and agents' lives."""

    def __init__(self) -> None:
        self._turns: dict[str, AgentTurn] = {}
        self._lives: Counter[str] = Counter()
        self._lives_of_all = 0

    def life_of(self, uuid: str) -> int:
        """A number that grows whenever the domain's agent may have begun anew."""
        return self._lives[uuid] + self._lives_of_all

    def began_anew(self, uuid: str) -> None:
        """The agent of a domain may have begun anew."""
        self._lives[uuid] += 1

    def lost_sight(self) -> None:
        """Nothing was heard of any domain for a while."""
        self._lives_of_all += 1

    def of(self, uuid: str) -> AgentTurn:
        """The turn of one domain."""
        return self._turns.setdefault(uuid, AgentTurn())


class AgentLine:
    """Sends requests to one domain's agent through `ask(request, timeout_s)`; see `agent.transport.Transport`.

    With `shares_silence`, a request that waited while another call got no answer is not sent: the agent was silent to
    it too, or busy for another program, and to ask anew would hold everybody up for as long again. With
    `tells_late`, a call that the hypervisor has had for longer than the longest turn raises NotReturnedError; the time
    before it was handed over is nobody's silence, and does not count.
    """

    def __init__(
        self,
        ask: Ask,
        turn: AgentTurn,
        life: Callable[[], int] = lambda: 0,
        *,
        shares_silence: bool = False,
        tells_late: bool = False,
    ) -> None:
        """`life` tells `agent_life`."""
        self._life = life
        self._ask = ask
        self._turn = turn
        self._shares_silence = shares_silence
        self._tells_late = tells_late

    @property
    def agent_life(self) -> int:
        """A number that is another one once the agent may have begun anew."""
        return self._life()

    async def send(self, request: str, timeout_s: int) -> str:
        """One request, one reply. A call that has begun keeps its turn to its end, even when the caller leaves."""
        begun = False
        handed_over = asyncio.Event()

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
                    return await self._ask(request, timeout_s, handed_over.set)
                except (UnansweredError, AgentBusyError) as error:
                    self._turn.silence = error
                    raise

        call = asyncio.create_task(in_turn())
        _calls_in_flight.add(call)
        call.add_done_callback(_forget)
        try:
            if self._tells_late:
                await _in_time(call, handed_over, longest_turn_s(timeout_s))
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not begun:
                call.cancel()
            raise


async def _in_time(call: asyncio.Task[str], handed_over: asyncio.Event, turn_s: float) -> None:
    """Return when the call has; raises NotReturnedError where it has not, `turn_s` after it was handed over."""
    handing = asyncio.create_task(handed_over.wait())
    try:
        await asyncio.wait({call, handing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        handing.cancel()
    _, pending = await asyncio.wait({call}, timeout=turn_s)
    if pending:
        cause = f"for {turn_s:g} s the hypervisor has not returned the call"
        raise NotReturnedError("No answer has come", call, cause=cause)


def _again(silence: UnansweredError | AgentBusyError) -> UnansweredError | AgentBusyError:
    return type(silence)(silence.title, cause=silence.cause, next_step=silence.next_step, original=silence.original)


def _forget(call: asyncio.Task[str]) -> None:
    _calls_in_flight.discard(call)
    if not call.cancelled():
        call.exception()  # retrieved here, because the caller may have left
