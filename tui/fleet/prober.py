"""Asks agents whether they live, when the liveness policy says so and when somebody wants to know."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from functools import partial

from tui.agent import commands, errors
from tui.agent.transport import Transport
from tui.fleet.introduction import introduce
from tui.fleet.liveness import LivenessPolicy, can_be_asked, is_silent, pause_s
from tui.model.guest import AgentFacts, Guest, GuestId
from tui.model.probe import Answered, ProbeOutcome, Silence, Unanswered

IN_VAIN_S = 5.0
"""Seconds before a guest is asked again of whose agent nothing was learned, unless its port opens anew."""

_SILENCES: dict[type[errors.AgentError], Silence] = {
    errors.LinkBrokenError: Silence.LINK_BROKEN,
    errors.AccessDeniedError: Silence.NOT_ALLOWED,
    errors.AgentBusyError: Silence.BUSY,
}


async def probe(
    line: Transport, timeout_s: int, tell_late: Callable[[Unanswered], None] | None = None
) -> ProbeOutcome | None:
    """Ping an agent and, where it answers, ask whether it is frozen.

    A ping that the hypervisor has not returned after the longest turn waits there, for up to 30 s, behind another
    program's command, or with the hypervisor itself: `tell_late` is handed that, and the outcome is what it came to.
    Without `tell_late` that is the outcome. None where the port is not open after all, or the host is gone: events and
    the XML tell those better.
    """
    try:
        ping_ms = await commands.ping(line, timeout_s)
    except errors.CommandFailedError:
        ping_ms = 0.0  # an agent that refuses the ping is alive
    except errors.NotReturnedError as late:
        outcome = Unanswered(time.time(), Silence.NOT_RETURNED, late.cause)
        if tell_late is None:
            return outcome
        tell_late(outcome)
        return await _once_returned(line, timeout_s, late)
    except errors.AgentError as error:
        return _outcome_of(error)
    return await _alive(line, timeout_s, ping_ms)


async def _once_returned(line: Transport, timeout_s: int, late: errors.NotReturnedError) -> ProbeOutcome | None:
    """What a late ping came to; one that was answered is asked once more for its time."""
    try:
        await asyncio.shield(late.returned)
    except errors.AgentError as error:
        return _outcome_of(error)
    return await probe(line, timeout_s)


def _outcome_of(error: errors.AgentError) -> ProbeOutcome | None:
    if isinstance(
        error, errors.NotConnectedError | errors.NoChannelError | errors.GuestNotRunningError | errors.HostGoneError
    ):
        return None
    return Unanswered(time.time(), _SILENCES.get(type(error), Silence.NO_REPLY), error.original)


async def _alive(line: Transport, timeout_s: int, ping_ms: float) -> Answered:
    try:
        frozen = await commands.fsfreeze_status(line, timeout_s) is commands.FreezeStatus.FROZEN
    except errors.AgentError:
        frozen = False  # the agent answered the ping; whether it is frozen it cannot or may not say
    return Answered(time.time(), ping_ms, frozen)


class Prober:
    """Pings the guests of one host, few at once; silent ones never take every place.

    `guest_of` looks up the latest value of a guest, `line_to` opens its probe line, `is_held` tells guests that must
    not be disturbed now, and `tell` takes each outcome (None: nothing learned, read the guest's facts).
    """

    def __init__(
        self,
        guest_of: Callable[[GuestId], Guest | None],
        line_to: Callable[[GuestId], Transport],
        tell: Callable[[GuestId, ProbeOutcome | None], None],
        tell_facts: Callable[[GuestId, AgentFacts], None],
        policy: LivenessPolicy,
        is_held: Callable[[GuestId], bool] = lambda _id: False,
    ) -> None:
        self._guest_of = guest_of
        self._line_to = line_to
        self._tell = tell
        self._tell_facts = tell_facts
        self._introduced: dict[GuestId, tuple[float | None, float]] = {}
        self._policy = policy
        self._is_held = is_held
        self._due: dict[GuestId, float] = {}
        self._again: set[GuestId] = set()
        self._in_vain: dict[GuestId, tuple[float | None, float]] = {}
        self._asking: dict[GuestId, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(policy.at_once_per_host)
        self._places_of_silent = asyncio.Semaphore(policy.silent_at_once_per_host)
        self._changed = asyncio.Event()

    def ask_soon(self, guest_id: GuestId) -> None:
        """Put a guest's ping before its turn."""
        self._due[guest_id] = 0.0
        self._changed.set()

    def plan(self, guest: Guest) -> None:
        """See to it that a guest that can be asked is asked in its turn."""
        if not can_be_asked(guest):
            self._due.pop(guest.id, None)
            self._in_vain.pop(guest.id, None)
        elif guest.probe is None and self._policy.asks_by_itself:
            port, until = self._in_vain.get(guest.id, (None, 0.0))
            if port == guest.port_changed_at and until > time.monotonic():
                self._due[guest.id] = min(until, self._due.get(guest.id, until))
                self._changed.set()
            else:
                self.ask_soon(guest.id)

    def begin_anew(self) -> None:
        """Forget which guests were asked in vain: the host is connected anew."""
        self._in_vain.clear()

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                self._changed.clear()
                now = time.monotonic()
                for guest_id in [each for each, due in self._due.items() if due <= now]:
                    self._begin(guest_id)
                wait = min(self._due.values(), default=now + self._policy.slow_cycle_s) - time.monotonic()
                await self._sleep(wait)
        finally:
            for task in self._asking.values():
                task.cancel()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return

    def _begin(self, guest_id: GuestId) -> None:
        del self._due[guest_id]
        guest = self._guest_of(guest_id)
        if guest is None or not can_be_asked(guest):
            return
        if guest_id in self._asking:
            self._again.add(guest_id)  # whoever asks now wants to know what is so now
            return
        if self._is_held(guest_id):
            self._put_off(guest)
            return
        task = asyncio.create_task(self._ask(guest))
        self._asking[guest_id] = task
        task.add_done_callback(lambda _task: self._asked(guest_id))

    async def _ask(self, guest: Guest) -> None:
        async with contextlib.AsyncExitStack() as places:
            if is_silent(guest):
                await places.enter_async_context(self._places_of_silent)
            await places.enter_async_context(self._places)
            # A place is held until the call has returned: one that was given up still has a thread of the connection.
            outcome = await probe(self._line_to(guest.id), self._policy.ping_timeout_s, partial(self._tell, guest.id))
            latest = self._guest_of(guest.id)
            if latest is not None and latest.port_changed_at != guest.port_changed_at:
                self.ask_soon(guest.id)  # the answer is about a port that was closed meanwhile
                return
            if outcome is None:
                self._in_vain[guest.id] = (guest.port_changed_at, time.monotonic() + IN_VAIN_S)
            else:
                self._in_vain.pop(guest.id, None)
            self._tell(guest.id, outcome)
            if isinstance(outcome, Answered) and not outcome.frozen and self._is_to_introduce_itself(guest):
                await self._introduce(guest)

    def _is_to_introduce_itself(self, guest: Guest) -> bool:
        port, at = self._introduced.get(guest.id, (None, 0.0))
        if at == 0.0 or port != guest.port_changed_at:
            return True
        has_address = guest.agent_facts is not None and guest.agent_facts.address is not None
        return time.time() - at > (self._policy.slow_cycle_s if has_address else self._policy.cycle_s / 2)

    async def _introduce(self, guest: Guest) -> None:
        try:
            facts = await introduce(self._line_to(guest.id), self._policy.ping_timeout_s)
        except errors.AgentError:
            return  # the next ping tells what became of it
        self._introduced[guest.id] = (guest.port_changed_at, time.time())
        self._tell_facts(guest.id, facts)

    def _asked(self, guest_id: GuestId) -> None:
        self._asking.pop(guest_id, None)
        if guest_id in self._again:
            self._again.discard(guest_id)
            self.ask_soon(guest_id)
            return
        guest = self._guest_of(guest_id)
        if guest is not None:
            self._put_off(guest)

    def _put_off(self, guest: Guest) -> None:
        pause = pause_s(guest, self._policy, random.random())  # noqa: S311 - jitter, no secret
        if pause is not None and guest.id not in self._due:
            self._due[guest.id] = time.monotonic() + pause
            self._changed.set()
