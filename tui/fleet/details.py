"""Everything to be known of one guest, in sections that fill as their answers come."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tui.agent import guest_facts
from tui.agent.errors import AgentError
from tui.agent.transport import Transport
from tui.doctor.booting import booting_left_s
from tui.doctor.reasons import explain, next_step
from tui.fleet.introduction import COMMANDS_KEPT
from tui.hosts.domain_xml import channel_elements
from tui.hosts.port import Host, HostError
from tui.model.guest import AgentFacts, AgentState, Guest
from tui.model.quantities import size

TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Section:
    """A titled list of lines, raw; `trouble` says why there are none."""

    title: str
    lines: tuple[str, ...] = ()
    trouble: str = ""


def known_sections(guest: Guest) -> tuple[Section, ...]:
    """What is known without asking anybody: domain, agent, disks, timeline, commands."""
    return (_domain(guest), _agent(guest), _disks(guest), _timeline(guest), _commands(guest))


def _domain(guest: Guest) -> Section:
    facts = guest.facts
    power = f"{facts.power}{f' ({facts.power_reason})' if facts.power_reason else ''}"
    address = "" if guest.address is None else f"address {guest.address.text}, said by {guest.address.source}"
    lines = (
        f"{power}, {facts.vcpus} processor{'' if facts.vcpus == 1 else 's'}, {size(facts.memory_bytes)} of memory",
        (
            f"{'starts' if facts.autostart else 'does not start'} with the host, "
            f"{'persistent' if facts.persistent else 'transient'}"
        ),
        f"uuid {facts.uuid}",
        address,
    )
    return Section("Guest", tuple(line for line in lines if line))


def _agent(guest: Guest) -> Section:
    facts = guest.agent_facts
    lines = [f"{guest.agent.state}: {guest.agent.reason}" if guest.agent.reason else str(guest.agent.state)]
    if step := next_step(guest, booting=booting_left_s(guest, time.time()) > 0):
        lines.append(step)
    if facts is not None:
        lines.append(f"{facts.os_name or facts.os_id or 'unknown system'}, host name {facts.host_name or 'unknown'}")
        lines.append(f"qemu-ga {facts.version or 'of unknown version'}")
        lines.append("commands unknown" if facts.unlisted else f"commands: {_counted_commands(facts)}, listed below")
    return Section("Agent", tuple(lines))


def _commands(guest: Guest) -> Section:
    facts = guest.agent_facts
    if facts is None:
        return Section("Commands", trouble=f"the agent has not said which it has: {guest.agent.state}")
    kinds = (("⊘ disabled", facts.blocked), ("✓ enabled", facts.enabled))
    named = tuple(f"{word}: {', '.join(sorted(names))}" for word, names in kinds if names)
    return Section("Commands", (_counted_commands(facts), *named) if named else (), facts.unlisted)


def _counted_commands(facts: AgentFacts) -> str:
    enabled, blocked = (
        f"{len(names)}{' or more' if len(names) == COMMANDS_KEPT else ''}" for names in (facts.enabled, facts.blocked)
    )
    return f"{enabled} enabled, {blocked} disabled"


def _disks(guest: Guest) -> Section:
    lines: list[str] = []
    for disk in guest.facts.disks:
        about = " ".join(part for part in (disk.device, disk.format, disk.bus) if part)
        lines.append(f"{disk.target}  {about}  {disk.source or 'empty'}")
        lines.extend(f"      on {below}" for below in disk.backing)
    return Section("Disks", tuple(lines), "" if lines else "the guest has no disk")


def _timeline(guest: Guest) -> Section:
    lines = tuple(
        f"{time.strftime('%H:%M:%S', time.localtime(happening.at))}  {happening.what}"
        for happening in reversed(guest.timeline)
    )
    return Section("Timeline of this run, newest first", lines, "" if lines else "nothing has happened yet")


async def asked_sections(host: Host, guest: Guest) -> AsyncIterator[Section]:
    """What has to be asked, one section after the other; a section that cannot be had says why."""
    uuid = guest.id.uuid
    yield await _from_host("Disk sizes", lambda: _disk_sizes(host, guest))
    yield await _from_host("Channel in the live definition", lambda: _channel(host, uuid))
    line = host.probe_line(uuid)
    questions: tuple[tuple[str, Callable[[], Awaitable[tuple[str, ...]]]], ...] = (
        ("Interfaces", lambda: _interfaces(line)),
        ("File systems", lambda: _file_systems(line)),
        ("Users", lambda: _users(line)),
        ("Time zone", lambda: _timezone(line)),
    )
    if guest.agent.state is not AgentState.RESPONDING:
        why = f"the agent cannot be asked: {guest.agent.state}"
        for title, _ in questions:
            yield Section(title, trouble=why)
        return
    for title, question in questions:
        try:
            lines = await question()
            yield Section(title, lines, "" if lines else "none")
        except AgentError as error:
            yield Section(title, trouble=explain(error).one_line())


async def _from_host(title: str, question: Callable[[], Awaitable[tuple[str, ...]]]) -> Section:
    try:
        lines = await question()
    except HostError as error:
        return Section(title, trouble=error.one_line())
    return Section(title, lines, "" if lines else "none")


async def _disk_sizes(host: Host, guest: Guest) -> tuple[str, ...]:
    lines = []
    for disk in guest.facts.disks:
        if disk.source:
            sizes = await host.block_sizes(guest.id.uuid, disk.target)
            lines.append(f"{disk.target}  {size(sizes.capacity)}, {size(sizes.allocation)} in use")
    return tuple(lines)


async def _channel(host: Host, uuid: str) -> tuple[str, ...]:
    return channel_elements(await host.live_xml(uuid))


async def _interfaces(line: Transport) -> tuple[str, ...]:
    return tuple(
        f"{each.name}  {each.mac}  {', '.join(each.addresses) or 'no address'}"
        for each in await guest_facts.interfaces(line, TIMEOUT_S)
    )


async def _file_systems(line: Transport) -> tuple[str, ...]:
    return tuple(
        f"{each.mountpoint}  {each.kind}  {_usage(each)}" for each in await guest_facts.file_systems(line, TIMEOUT_S)
    )


def _usage(system: guest_facts.FileSystem) -> str:
    if system.used_bytes is None or not system.total_bytes:
        return "usage unknown"
    share = system.used_bytes / system.total_bytes
    return f"{size(system.used_bytes)} of {size(system.total_bytes)}, {share * 100:.0f} % full"


async def _users(line: Transport) -> tuple[str, ...]:
    return tuple(
        f"{each.user}{f' ({each.domain})' if each.domain else ''}  since "
        f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(min(max(each.since, 0), 2**33)))}"
        for each in await guest_facts.users(line, TIMEOUT_S)
    )


async def _timezone(line: Transport) -> tuple[str, ...]:
    return (await guest_facts.timezone(line, TIMEOUT_S),)
