"""What can be done to a guest's power: whether it makes sense now, by which way, and how it is said."""

from __future__ import annotations

from enum import StrEnum

from tui.hosts.port import Host, PowerWay
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


def why_not(act: PowerAct, guest: Guest) -> str:
    """Why the act makes no sense for the guest as it is; empty where it does."""
    return "" if guest.facts.power in _NEEDS[act] else f"it is {guest.facts.power}"


def way_to(guest: Guest) -> PowerWay:
    """The agent where it answers, else the power button, which a guest may ignore."""
    return PowerWay.AGENT if guest.agent.state is AgentState.RESPONDING else PowerWay.ACPI


def in_words(act: PowerAct, guest: Guest) -> str:
    """What the act would do, with its way: `shut down web1 through its agent`."""
    if act in (PowerAct.SHUT_DOWN, PowerAct.REBOOT):
        way = "through its agent" if way_to(guest) is PowerWay.AGENT else "by the ACPI power button"
        return f"{act} {guest.name} {way}"
    return f"{act} {guest.name}"


async def carry_out(host: Host, guest: Guest, act: PowerAct) -> str:
    """Do it and say what was done; raises HostError. A guest that was asked to end is not off yet: the list tells."""
    uuid = guest.id.uuid
    match act:
        case PowerAct.START:
            await host.start(uuid)
            return f"{guest.name} was started"
        case PowerAct.SHUT_DOWN:
            await host.shut_down(uuid, way_to(guest))
            return f"{guest.name} was asked to shut down ({way_to(guest)})"
        case PowerAct.REBOOT:
            await host.reboot(uuid, way_to(guest))
            return f"{guest.name} was asked to reboot ({way_to(guest)})"
        case PowerAct.SUSPEND:
            await host.suspend(uuid)
            return f"{guest.name} was suspended"
        case PowerAct.RESUME:
            await host.resume(uuid)
            return f"{guest.name} was resumed"
        case PowerAct.FORCE_OFF:
            await host.force_off(uuid)
            return f"{guest.name} was forced off"
