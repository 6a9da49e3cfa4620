"""Everything the doctor gathered about one guest at one moment; the checks judge it and ask nothing more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui.agent.commands import AgentInfo, OsInfo
from tui.agent.errors import AgentError
from tui.doctor.booting import booting_until
from tui.doctor.definition import Definition
from tui.doctor.systems import UNKNOWN_SYSTEM, Family, System
from tui.hosts.port import HostError
from tui.model.guest import AgentFacts, DomainFacts, Happening, HappeningKind


@dataclass(frozen=True, slots=True)
class Patient:
    """A guest as whoever calls the doctor knows it.

    `timeline` is what was seen of it, `watched_since` the Unix time from which on nothing was missed; `held` says who
    of our own works on it and must not be disturbed (a backup); `system` is what the user said it runs,
    `agent_facts` what its agent said of itself earlier in this run. Without `thorough` no trial program is run in it,
    and its host's processes are looked at only where the agent is in trouble; nor is one run in `read_only` mode.
    """

    host: str
    uuid: str
    name: str
    timeline: tuple[Happening, ...] = ()
    watched_since: float | None = None
    held: str = ""
    system: Family | None = None
    agent_facts: AgentFacts | None = None
    thorough: bool = True
    read_only: bool = False

    @property
    def may_be_tried(self) -> bool:
        """Whether a trial program may be run in it."""
        return self.thorough and not self.read_only


@dataclass(frozen=True, slots=True)
class Late:
    """No reply had come after so many seconds, and libvirt's call still waited: for the agent, or for its turn."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question to the agent; `trouble` is None where it was answered. `ms` in milliseconds."""

    ms: float
    trouble: AgentError | Late | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a harmless program in the guest said: `user` is its user number, empty where it did not say.

    `refusal` is the error's own text where it could not be run, `confined` the SELinux domain it ran in.
    """

    refusal: str = ""
    user: str = ""
    confined: str = ""
    enforcing: bool = False


@dataclass(frozen=True, slots=True)
class AgentLook:
    """What the agent itself said; None where it was not asked or did not say."""

    ping: Reply
    frozen: bool | None = None
    info: AgentInfo | None = None
    os: OsInfo | None = None
    clock_off_s: float | None = None
    trial: Trial | None = None
    trouble: AgentError | Late | None = None
    """What a question after the ping came to, where it was no answer."""

    @property
    def waits(self) -> bool:
        """Whether a question still waited for its answer."""
        return isinstance(self.ping.trouble, Late) or isinstance(self.trouble, Late)


@dataclass(frozen=True, slots=True)
class SocketClient:
    """A process that is connected to the channel's socket."""

    program: str
    pid: int

    @property
    def is_libvirt(self) -> bool:
        """Whether it is the daemon that is meant to be there."""
        return self.program.startswith(("libvirtd", "virtqemud"))


@dataclass(frozen=True, slots=True)
class HostLook:
    """What the host itself shows of a guest on it; only seen where the host is this machine.

    `clients` are connected to the channel's socket now, `waiting` connections queue for it; None where that cannot be
    read. `started_at` is the Unix time of the guest's process. `denials` and `log` are lines of the host's logs.
    """

    pid: int | None = None
    started_at: float | None = None
    label: str = ""
    socket_owner: str = ""
    clients: tuple[SocketClient, ...] | None = None
    waiting: int = 0
    denials: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """One examination's evidence. `at` is the Unix time at which it was complete, `took_s` how long that took."""

    patient: Patient
    uri: str
    at: float
    took_s: float = 0.0
    unreachable: HostError | None = None
    domain: DomainFacts | None = None
    live: Definition | None = None
    stored: Definition | None = None
    agent: AgentLook | None = None
    host: HostLook | None = None
    warnings: tuple[str, ...] = ()
    mark: str = ""
    """The element a backup left in the domain's metadata."""
    processor_share: float | None = None
    """Processor time used per second while the agent was asked: 1.0 is one processor."""
    system: System = UNKNOWN_SYSTEM

    @property
    def started_at(self) -> float | None:
        """Unix time at which the guest's system began last, as it was seen or as its process tells."""
        starts = [line.at for line in self.patient.timeline if line.kind is HappeningKind.STARTED]
        process = self.host.started_at if self.host is not None else None
        return max((*starts[-1:], *(() if process is None else (process,))), default=None)

    @property
    def may_be_booting(self) -> bool:
        """Whether the guest's system began so lately, as far as that was seen, that its agent may be still to come."""
        process = self.host.started_at if self.host is not None and not self.was_asked_before else None
        until = booting_until(self.patient.timeline, "" if self.domain is None else self.domain.power_reason, process)
        return until is not None and self.at < until

    @property
    def saw_start(self) -> bool:
        """Whether nothing that happened to the port since the guest's start was missed."""
        watched, started = self.patient.watched_since, self.started_at
        since = 0.0 if watched is None else watched
        if any(line.kind is HappeningKind.STARTED and line.at >= since for line in self.patient.timeline):
            return True
        return watched is not None and started is not None and watched <= started

    @property
    def port_lines(self) -> tuple[Happening, ...]:
        """The openings and closings of the port that were seen since the guest's last start."""
        return port_lines(self.patient.timeline)

    @property
    def was_asked_before(self) -> bool:
        """Whether libvirt remembers an agent command since the guest's start: then its port was open at some time."""
        return any("guest agent" in text or "custom-ga-command" in text for text in self.warnings)


def port_lines(timeline: Iterable[Happening]) -> tuple[Happening, ...]:
    """The openings and closings of a guest's port since its last start."""
    lines: list[Happening] = []
    for line in timeline:
        if line.kind is HappeningKind.STARTED:
            lines.clear()
        elif line.kind is not HappeningKind.OTHER:
            lines.append(line)
    return tuple(lines)
