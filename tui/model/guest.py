"""A guest and the state of its agent, as one frozen value per moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tui.model.disk import Disk
from tui.model.probe import ProbeOutcome


class PowerState(StrEnum):
    """What the hypervisor says of a domain (virDomainState, folded to what a user can act on)."""

    RUNNING = "running"
    PAUSED = "paused"
    OFF = "off"
    UNKNOWN = "unknown"


STARTING_UP, RESTORED, SAVED, MIGRATED_AWAY = "starting up", "restored", "saved to disk", "migrated away"
MIGRATED_HERE, REVERTED, POST_COPY = "migrated here", "reverted to a snapshot", "post-copy migration"
"""Words for how a power state came about on which something depends."""
REBOOTED = "rebooted"
"""What happened to a guest whose system began anew while its domain ran on."""


class AgentState(StrEnum):
    """The one word for a guest's agent; the words are also the ones in `list --json`."""

    OFF = "off"
    PAUSED = "paused"
    NO_CHANNEL = "no-channel"
    PENDING = "pending"
    DISCONNECTED = "disconnected"
    CONNECTED = "connected"
    RESPONDING = "responding"
    UNRESPONSIVE = "unresponsive"
    FROZEN = "frozen"
    UNKNOWN = "unknown"


class Channel(StrEnum):
    """What the XML says of the agent's channel (`<target type='virtio' state=...>`)."""

    ABSENT = "absent"
    STORED_ONLY = "stored-only"
    CLOSED = "closed"
    OPEN = "open"
    UNKNOWN = "unknown"
    """The channel is there, but this kind of domain or connection does not report its state."""


@dataclass(frozen=True, slots=True, order=True)
class GuestId:
    """What tells guests apart: the host's short name and the domain's UUID."""

    host: str
    uuid: str


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """What libvirt knows of one domain at one moment, without asking the guest.

    `power_reason` is the hypervisor's word for how the state came about ("crashed", "suspended by user"); `disks` are
    those of the running definition, or of the stored one while the domain is off.
    """

    uuid: str
    name: str
    power: PowerState
    power_reason: str
    channel: Channel
    persistent: bool = True
    disks: tuple[Disk, ...] = ()
    autostart: bool = False
    memory_bytes: int = 0
    vcpus: int = 0
    os_hint: str = ""
    """The operating system that whoever made the domain noted in its metadata (libosinfo's id), often wrong."""
    unread: str = ""
    """Why the definition could not be read, so that nothing is known of the channel and the disks; else empty."""


class AddressSource(StrEnum):
    """Who said that a guest has an address."""

    AGENT = "agent"
    LEASE = "lease"
    ARP = "ARP"


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address of a guest, as text, and who said so."""

    text: str
    source: AddressSource


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What an agent says of itself and of its guest; empty where it did not say. Asked once per agent start.

    `blocked` are the commands that its policy switches off and `enabled` the others, as guest-info lists them, in
    bounds; `unlisted` says why neither is known.
    """

    version: str = ""
    blocked: frozenset[str] = frozenset()
    os_id: str = ""
    os_name: str = ""
    host_name: str = ""
    address: Address | None = None
    enabled: frozenset[str] = frozenset()
    unlisted: str = ""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The agent's state with its evidence.

    `since` is the Unix time in seconds at which the change to this state was seen, None while none was seen;
    `ping_ms` the round trip of the last answered ping in milliseconds.
    """

    state: AgentState
    reason: str
    since: float | None = None
    ping_ms: float | None = None


class HappeningKind(StrEnum):
    """What of a timeline bears on the agent's port."""

    STARTED = "started"
    """The guest's system began anew: also after a reboot."""
    PORT_OPENED = "port-opened"
    PORT_CLOSED = "port-closed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a guest's timeline: Unix time in seconds and what was seen then."""

    at: float
    what: str
    kind: HappeningKind = HappeningKind.OTHER


@dataclass(frozen=True, slots=True)
class Guest:
    """One row of the fleet, with the evidence its agent's state rests on.

    `probe` is the last ping since the port opened; `port_changed_at` the Unix time of the last event of the port;
    `timeline` holds what was seen in this run, oldest first.
    """

    id: GuestId
    facts: DomainFacts
    agent: AgentStatus
    probe: ProbeOutcome | None = None
    port_changed_at: float | None = None
    timeline: tuple[Happening, ...] = ()
    agent_facts: AgentFacts | None = None
    host_address: Address | None = None
    """From the host's own network: a DHCP lease, or its ARP table."""
    cpu_share: float | None = None
    """Processor time over wall time in the last seconds, of one processor; None while it is not measured."""

    @property
    def address(self) -> Address | None:
        """The agent knows best; else what the host's network knows."""
        said = self.agent_facts.address if self.agent_facts is not None else None
        return said or self.host_address

    @property
    def name(self) -> str:
        """The domain's name, raw as libvirt gave it."""
        return self.facts.name
