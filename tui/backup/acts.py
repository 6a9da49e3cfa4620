"""Acts on a guest's power; where the answer to one was lost, the guest itself tells whether it was done."""

from __future__ import annotations

from tui.backup.session import HostSession
from tui.hosts.port import NoSuchDomainError, PowerWay
from tui.model.guest import PowerState


async def power_of(session: HostSession, uuid: str) -> PowerState:
    """What a guest is now; a transient one that is gone is off."""
    try:
        return (await session.ask(lambda host: host.read_domain(uuid))).power
    except NoSuchDomainError:
        return PowerState.OFF


async def force_off(session: HostSession, uuid: str) -> None:
    """Cut a guest's power; raises HostError."""
    await session.act(lambda host: host.force_off(uuid), lambda: _is_off(session, uuid))


async def shut_down(session: HostSession, uuid: str) -> None:
    """Ask a guest by its power button to shut down; raises HostError."""
    await session.act(lambda host: host.shut_down(uuid, PowerWay.ACPI), lambda: _is_off(session, uuid))


async def start(session: HostSession, uuid: str) -> None:
    """Boot a guest that is off; raises HostError."""
    await session.act(lambda host: host.start(uuid), lambda: _is_on(session, uuid))


async def start_paused(session: HostSession, uuid: str) -> None:
    """Start a guest that is off with its processors stopped; raises HostError."""
    await session.act(lambda host: host.start_paused(uuid), lambda: _is_on(session, uuid))


async def suspend(session: HostSession, uuid: str) -> None:
    """Pause a running guest; raises HostError."""
    await session.act(lambda host: host.suspend(uuid), lambda: _is_not(PowerState.RUNNING, session, uuid))


async def resume(session: HostSession, uuid: str) -> None:
    """Let a paused guest run on; raises HostError."""
    await session.act(lambda host: host.resume(uuid), lambda: _is_not(PowerState.PAUSED, session, uuid))


async def _is_off(session: HostSession, uuid: str) -> bool:
    return await power_of(session, uuid) is PowerState.OFF


async def _is_on(session: HostSession, uuid: str) -> bool:
    return await power_of(session, uuid) in (PowerState.RUNNING, PowerState.PAUSED)


async def _is_not(power: PowerState, session: HostSession, uuid: str) -> bool:
    return await power_of(session, uuid) is not power
