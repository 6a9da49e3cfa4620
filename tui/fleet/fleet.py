"""The fleet as one immutable value, and how each fact makes the next one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from tui.doctor.reasons import diagnose
from tui.model.events import AgentPortClosed, AgentPortOpened
from tui.model.guest import (
    AgentFacts,
    AgentState,
    AgentStatus,
    Channel,
    DomainFacts,
    Guest,
    GuestId,
    Happening,
    HappeningKind,
    PowerState,
)
from tui.model.probe import Answered, ProbeOutcome, Unanswered

TIMELINE_LENGTH = 200
"""Happenings kept per guest."""


class Link(StrEnum):
    """The connection to a host."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SILENT = "not answering"
    """The host's daemon is there and answers nothing: what its guests do now is not known."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host of the fleet: `why` says what keeps it from being connected, with the next step."""

    name: str
    uri: str
    link: Link = Link.CONNECTING
    why: str = ""
    since: float | None = None
    read_only: bool = False
    """The host lets this user look, and no more: change nothing, and ask no agent."""

    @property
    def is_away(self) -> bool:
        """Whether nothing is heard of it: what was seen of its guests is history."""
        return self.link in (Link.LOST, Link.SILENT)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts in the order in which they were named, and their guests."""

    hosts: tuple[HostStatus, ...] = ()
    guests: Mapping[GuestId, Guest] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def connected(self) -> frozenset[str]:
        """The names of the hosts that are connected."""
        return frozenset(host.name for host in self.hosts if host.link is Link.CONNECTED)

    def host(self, name: str) -> HostStatus:
        """The host of that name; raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def is_lost(self, name: str) -> bool:
        """Whether nothing is heard of a host."""
        return any(host.name == name and host.is_away for host in self.hosts)

    def is_read_only(self, guest_id: GuestId) -> bool:
        """Whether the guest's host lets this user only look."""
        return any(host.name == guest_id.host and host.read_only for host in self.hosts)

    def with_host(self, status: HostStatus) -> Fleet:
        """The fleet with a host's status replaced."""
        return replace(self, hosts=tuple(status if host.name == status.name else host for host in self.hosts))

    def with_guests(self, *guests: Guest) -> Fleet:
        """The fleet with guests added or replaced; itself where nothing differs."""
        differing = {guest.id: guest for guest in guests if self.guests.get(guest.id) != guest}
        return replace(self, guests=MappingProxyType({**self.guests, **differing})) if differing else self

    def without(self, *ids: GuestId) -> Fleet:
        """The fleet without some guests; itself where it had none of them."""
        if self.guests.keys().isdisjoint(ids):
            return self
        kept = {guest_id: guest for guest_id, guest in self.guests.items() if guest_id not in ids}
        return replace(self, guests=MappingProxyType(kept))

    def of_host(self, name: str) -> tuple[Guest, ...]:
        """The guests of one host."""
        return tuple(guest for guest in self.guests.values() if guest.id.host == name)


def first_seen(host: str, facts: DomainFacts) -> Guest:
    """A guest as it is met for the first time: no change was seen, so no age is claimed."""
    state, reason = diagnose(facts, None)
    return Guest(id=GuestId(host, facts.uuid), facts=facts, agent=AgentStatus(state, reason))


def facts_read(guest: Guest, facts: DomainFacts, asked_at: float, now: float) -> Guest:
    """A guest after its facts were read anew; a port event that came after the question outweighs the answer."""
    overtaken = guest.port_changed_at is not None and guest.port_changed_at >= asked_at
    running = facts.power is PowerState.RUNNING and guest.facts.power is PowerState.RUNNING
    if overtaken and running and guest.facts.channel in {Channel.OPEN, Channel.CLOSED}:
        facts = replace(facts, channel=guest.facts.channel)
    same_port = facts.power is guest.facts.power and facts.channel is guest.facts.channel
    changed = replace(guest, facts=facts, probe=guest.probe if same_port else None)
    if facts.power is PowerState.OFF:
        changed = _without_addresses(replace(changed, port_changed_at=None, cpu_share=None))
    return _judged(changed, guest, now)


def _without_addresses(guest: Guest) -> Guest:
    said = guest.agent_facts
    return replace(guest, host_address=None, agent_facts=None if said is None else replace(said, address=None))


def port_changed(guest: Guest, event: AgentPortOpened | AgentPortClosed) -> Guest:
    """A guest after its agent port opened or closed; ignored while it is not running.

    libvirt reports the port of a domain that is off too, when an external snapshot of it is deleted.
    """
    if guest.facts.power is not PowerState.RUNNING:
        return replace(guest, port_changed_at=event.at)
    channel = Channel.OPEN if isinstance(event, AgentPortOpened) else Channel.CLOSED
    changed = replace(guest, facts=replace(guest.facts, channel=channel), probe=None, port_changed_at=event.at)
    return _judged(changed, guest, event.at)


def probed(guest: Guest, outcome: ProbeOutcome) -> Guest:
    """A guest after a ping; silence after silence is counted."""
    if guest.facts.power is not PowerState.RUNNING or guest.facts.channel is not Channel.OPEN:
        return guest
    if isinstance(outcome, Unanswered) and isinstance(guest.probe, Unanswered):
        outcome = replace(outcome, in_a_row=guest.probe.in_a_row + 1)
    return _judged(replace(guest, probe=outcome), guest, outcome.at)


def out_of_sight(guest: Guest, now: float) -> Guest:
    """A guest whose host is lost: what was seen last is history, and nothing is claimed until it is seen again."""
    reason = f"its host is lost; it was {guest.facts.power}, its agent {guest.agent.state}"
    unknown = replace(guest, facts=replace(guest.facts, power=PowerState.UNKNOWN), probe=None, port_changed_at=None)
    return remembered(
        replace(unknown, agent=AgentStatus(AgentState.UNKNOWN, reason, now), cpu_share=None), "its host is lost", now
    )


def introduced(guest: Guest, facts: AgentFacts, at: float) -> Guest:
    """A guest after its agent said who it is; a new version or another policy is worth a line in the timeline."""
    before, guest = guest.agent_facts, replace(guest, agent_facts=facts)
    if before is not None and (before.version, before.blocked) == (facts.version, facts.blocked):
        return guest
    count = len(facts.blocked)
    blocked = f", {count} {'command' if count == 1 else 'commands'} disabled" if count else ""
    return remembered(guest, f"agent {facts.version or 'of unknown version'}{blocked}", at)


def remembered(guest: Guest, what: str, at: float, kind: HappeningKind = HappeningKind.OTHER) -> Guest:
    """A guest with one more line in its timeline."""
    return replace(guest, timeline=(*guest.timeline, Happening(at, what, kind))[-TIMELINE_LENGTH:])


def _kind(before: Channel, after: Channel) -> HappeningKind:
    """A port that was never open did not close."""
    if before is after or after is Channel.OPEN:
        return HappeningKind.PORT_OPENED if before is not after else HappeningKind.OTHER
    return HappeningKind.PORT_CLOSED if before is Channel.OPEN else HappeningKind.OTHER


_FIRST_ANSWERS = {AgentState.CONNECTED, AgentState.UNKNOWN}


def _judged(changed: Guest, before: Guest, now: float) -> Guest:
    """`changed` with the state its evidence proves; the age restarts only where a change was seen.

    A guest that comes back into sight may have changed long before: its state has no age.

    The first answer to a port that was open before we looked is not a change: nobody knows since when it answers.
    """
    state, reason = diagnose(changed.facts, changed.probe, changed.port_changed_at)
    same = state is before.agent.state
    learned = before.agent.since is None and before.agent.state in _FIRST_ANSWERS and changed.probe is not None
    reappeared = before.facts.power is PowerState.UNKNOWN and not same
    since = before.agent.since if same or learned else None if reappeared else now
    ping_ms = changed.probe.ping_ms if isinstance(changed.probe, Answered) else None
    judged = replace(changed, agent=AgentStatus(state, reason, since, ping_ms))
    return (
        judged
        if same
        else remembered(judged, f"agent {state}: {reason}", now, _kind(before.facts.channel, changed.facts.channel))
    )
