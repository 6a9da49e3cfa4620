"""Waits for an agent that is still to come, as after a start or a reboot, and tells it from one that will not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tui.doctor.reasons import next_step
from tui.fleet.fleet import first_seen, probed
from tui.fleet.prober import probe
from tui.hosts.port import Host, HostError, NoSuchDomainError
from tui.model.errors import ExplainedError
from tui.model.guest import AgentState, Channel, Guest, GuestId, PowerState

PING_S = 3
"""Seconds for one ping."""
PAUSED_S = 5.0
"""Seconds for which a guest may be paused, as at the end of a migration, before it counts as left so by somebody."""
LOOK_S = 1.0
"""Seconds after which the guest is looked at without an event: a port may be open long before its agent answers."""
_NEVER = frozenset({AgentState.OFF, AgentState.NO_CHANNEL, AgentState.PENDING})
"""States that no waiting changes: somebody has to act."""
SETTLING_S = 1.5
"""Seconds within which such a state may still pass: a guest that is power cycled is off for a moment."""


class AgentDidNotComeError(ExplainedError):
    """The agent did not answer in the time given, or cannot."""


async def wait_for_agent(
    host: Host, guest_id: GuestId, name: str, within_s: float, tell: Callable[[str], None]
) -> None:
    """Return once the agent answers a ping and its guest is not frozen.

    `tell` is handed why it waits, at the beginning and whenever that changes. A lost host is waited for as well. Raises
    AgentDidNotComeError where the time is over, and at once where only an act of somebody's can help.
    """
    until = time.monotonic() + within_s
    stirred = asyncio.Event()
    unsubscribe = host.subscribe(lambda _event: stirred.set())
    reason, since = "", time.monotonic()
    try:
        while True:
            stirred.clear()
            guest, trouble = await _look(host, guest_id)
            if guest is not None and guest.agent.state is AgentState.RESPONDING:
                return
            now_reason = trouble if guest is None else guest.agent.reason or str(guest.agent.state)
            if now_reason != reason:
                reason, since = now_reason, time.monotonic()
                tell(f"waiting for the agent of {name}: {reason}")
            left = until - time.monotonic()
            if guest is not None and _is_lasting(guest, time.monotonic() - since):
                raise _did_not_come(f"The agent of {name} will not answer", reason, guest)
            if left <= 0:
                raise _did_not_come(f"The agent of {name} did not answer within {within_s:g} s", reason, guest)
            await _sleep(stirred, min(LOOK_S, left))
    finally:
        unsubscribe()


async def _look(host: Host, guest_id: GuestId) -> tuple[Guest | None, str]:
    """The guest as it is now, pinged where its port is open; else why it cannot be seen."""
    try:
        await host.open()
        guest = first_seen(host.name, await host.read_domain(guest_id.uuid))
        if guest.facts.power is PowerState.RUNNING and guest.facts.channel in (Channel.OPEN, Channel.UNKNOWN):
            outcome = await probe(host.probe_line(guest_id.uuid), PING_S)
            if outcome is not None:
                guest = probed(guest, outcome)
    except NoSuchDomainError:
        raise
    except HostError as error:
        return None, error.one_line()
    return guest, ""


def _is_lasting(guest: Guest, for_s: float) -> bool:
    if guest.agent.state is AgentState.PAUSED:
        return for_s >= PAUSED_S
    return guest.agent.state in _NEVER and for_s >= SETTLING_S


def _did_not_come(title: str, reason: str, guest: Guest | None) -> AgentDidNotComeError:
    return AgentDidNotComeError(title, cause=reason, next_step="" if guest is None else next_step(guest))


async def _sleep(stirred: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stirred.wait()
    except TimeoutError:
        return
