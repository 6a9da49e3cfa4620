"""A fleet with a guest in every state, as values."""

from __future__ import annotations

import time
from types import MappingProxyType
from zlib import crc32

from tui.fleet.fleet import Fleet, HostStatus, Link
from tui.model.guest import AgentState, AgentStatus, Channel, DomainFacts, Guest, GuestId, PowerState

_POWER = {
    AgentState.OFF: (PowerState.OFF, "shut down"),
    AgentState.PAUSED: (PowerState.PAUSED, "paused by a user"),
    AgentState.UNKNOWN: (PowerState.UNKNOWN, ""),
}

REASONS = {
    AgentState.OFF: "shut down",
    AgentState.PAUSED: "paused by a user",
    AgentState.NO_CHANNEL: "the guest has no agent device",
    AgentState.PENDING: "the agent device is added at the next power cycle",
    AgentState.DISCONNECTED: "nothing in the guest has the port open",
    AgentState.CONNECTED: "port open, not asked yet",
    AgentState.RESPONDING: "answered the last ping",
    AgentState.UNRESPONSIVE: "port open, 2 pings unanswered",
    AgentState.FROZEN: "file systems are frozen",
    AgentState.UNKNOWN: "the host does not report the port's state",
}


def guest(name: str, state: AgentState, *, host: str = "kvm7", seen_s_ago: float | None = None) -> Guest:
    """A guest in a state."""
    power, reason = _POWER.get(state, (PowerState.RUNNING, "booted"))
    since = None if seen_s_ago is None else time.time() - seen_s_ago
    ping_ms = 0.84 if state in {AgentState.RESPONDING, AgentState.FROZEN} else None
    return Guest(
        GuestId(host, f"00000000-0000-4000-8000-{crc32(name.encode()):012d}"),
        DomainFacts("", name, power, reason, Channel.OPEN),
        AgentStatus(state, REASONS[state], since, ping_ms),
    )


def fleet(*guests: Guest, hosts: tuple[str, ...] = ("kvm7",), link: Link = Link.CONNECTED) -> Fleet:
    """A fleet of those guests."""
    statuses = tuple(HostStatus(name, f"qemu+ssh://{name}/system", link) for name in hosts)
    return Fleet(statuses, MappingProxyType({each.id: each for each in guests}))


def every_state() -> Fleet:
    """One guest in each of the ten states, changed three hours ago but for the first."""
    names = ("app1", "backup", "cache", "db1", "edge", "files", "git", "mail", "web1", "win7")
    guests = [
        guest(name, state, seen_s_ago=None if number == 0 else 3 * 3600 + 100)
        for number, (name, state) in enumerate(zip(names, AgentState, strict=True))
    ]
    return fleet(*guests)
