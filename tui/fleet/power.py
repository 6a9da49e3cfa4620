"""What can be done to a guest's power: whether it makes sense now, by which way, and how it is said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum

from tui.hosts.port import Host, HostError, HostUnreachableError, NoSuchDomainError, PowerWay
from tui.model.guest import AgentState, Guest, PowerState


class PowerAct(StrEnum):
    """The acts, as the user reads them."""

    START = "start"
    SHUT_DOWN = "shut down"
    REBOOT = "reboot"
    SUSPEND = "suspend"
    RESUME = "resume"
    FORCE_OFF = "force off"


_NEEDS: dict[PowerAct, frozenset[PowerState]] = {
    PowerAct.START: frozenset({PowerState.OFF}),
    PowerAct.SHUT_DOWN: frozenset({PowerState.RUNNING}),
    PowerAct.REBOOT: frozenset({PowerState.RUNNING}),
    PowerAct.SUSPEND: frozenset({PowerState.RUNNING}),
    PowerAct.RESUME: frozenset({PowerState.PAUSED}),
    PowerAct.FORCE_OFF: frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.UNKNOWN}),
}

HARMLESS = frozenset({PowerAct.START, PowerAct.RESUME})
"""Acts that need no question."""
BY_A_WAY = frozenset({PowerAct.SHUT_DOWN, PowerAct.REBOOT})
"""Acts that a guest is asked for, by one way or another."""


def why_not(act: PowerAct, guest: Guest) -> str:
    """Why the act makes no sense for the guest as it is; empty where it does."""
    return "" if guest.facts.power in _NEEDS[act] else f"it is {guest.facts.power}"


def way_to(guest: Guest) -> PowerWay:
    """The agent where it answers, else the power button, which a guest may ignore."""
    return PowerWay.AGENT if guest.agent.state is AgentState.RESPONDING else PowerWay.ACPI


def in_words(act: PowerAct, guest: Guest) -> str:
    """What the act would do, with its way: `shut down web1 through its agent`."""
    if act in BY_A_WAY:
        way = "through its agent" if way_to(guest) is PowerWay.AGENT else "by the ACPI power button"
        return f"{act} {guest.name} {way}"
    return f"{act} {guest.name}"


async def carry_out(host: Host, guest: Guest, act: PowerAct) -> str:
    """Do it and say what the host then shows; raises HostError.

    A guest that was asked to end is not off yet: the list tells.
    """
    uuid = guest.id.uuid
    match act:
        case PowerAct.START:
            await host.start(uuid)
            return await _shown(host, guest, PowerState.RUNNING, "was started")
        case PowerAct.SHUT_DOWN:
            return f"{guest.name} was asked to shut down ({await _asked(host.shut_down, guest)})"
        case PowerAct.REBOOT:
            return f"{guest.name} was asked to reboot ({await _asked(host.reboot, guest)})"
        case PowerAct.SUSPEND:
            await host.suspend(uuid)
            return await _shown(host, guest, PowerState.PAUSED, "was suspended")
        case PowerAct.RESUME:
            await host.resume(uuid)
            return await _shown(host, guest, PowerState.RUNNING, "was resumed")
        case PowerAct.FORCE_OFF:
            await host.force_off(uuid)
            return await _shown(host, guest, PowerState.OFF, "was forced off")


async def _shown(host: Host, guest: Guest, wanted: PowerState, done: str) -> str:
    """What was done, once the host shows it; a transient guest that is off is gone from it."""
    try:
        facts = await host.read_domain(guest.id.uuid)
    except NoSuchDomainError:
        if wanted is PowerState.OFF:
            return f"{guest.name} {done}"
        raise
    if facts.power is not wanted:
        why = f" ({facts.power_reason})" if facts.power_reason else ""
        raise HostError(f"libvirt did it, but {guest.name} is {facts.power}{why}", next_step="See its log on the host.")
    return f"{guest.name} {done}"


async def _asked(ask: Callable[[str, PowerWay], Awaitable[None]], guest: Guest) -> str:
    """Ask a guest to end and say by which way: by the power button where its agent does not do it, and why."""
    if way_to(guest) is PowerWay.ACPI:
        await ask(guest.id.uuid, PowerWay.ACPI)
        return PowerWay.ACPI
    try:
        await ask(guest.id.uuid, PowerWay.AGENT)
    except (HostUnreachableError, NoSuchDomainError):
        raise
    except HostError as error:
        await ask(guest.id.uuid, PowerWay.ACPI)
        return f"{PowerWay.ACPI}; not by its agent: {error.cause or error.title}"
    return PowerWay.AGENT
