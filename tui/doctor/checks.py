"""The checks from the outside in: the host, the guest, its channel, the port. Each is pure over gathered facts."""

from __future__ import annotations

from tui.agent.errors import NotConnectedError
from tui.doctor.causes import PANICS, Cause
from tui.doctor.checks_agent import AGENT_CHECKS
from tui.doctor.facts import Facts
from tui.doctor.findings import Check, Finding, Outcome, Ruling, failed, passed, skipped, unknown
from tui.hosts.domain_xml import AGENT_PORT
from tui.hosts.port import NoSuchDomainError
from tui.model.guest import Channel, HappeningKind, PowerState
from tui.model.quantities import clock_time, duration

FLAPS = 3
FLAP_WINDOW_S = 600.0
STEADY_S = 60.0
"""Seconds without a closing after which an agent that came and went counts as steady."""


def run_checks(facts: Facts) -> tuple[Finding, ...]:
    """Every check in its order; what needs one that failed or was skipped is skipped itself."""
    findings: list[Finding] = []
    stopped: dict[str, str] = {}
    for check in CHECKS:
        blocker = next((stopped[need] for need in check.needs if need in stopped), None)
        ruling = check.judge(facts) if blocker is None else skipped(f"because of: {blocker}")
        if ruling.outcome in (Outcome.FAILED, Outcome.SKIPPED):
            stopped[check.id] = check.title if blocker is None else blocker
        findings.append(Finding(check.id, check.title, check.looks_at, ruling))
    return tuple(findings)


def _connection(facts: Facts) -> Ruling:
    error = facts.unreachable
    if isinstance(error, NoSuchDomainError):
        return failed(Cause.GUEST_GONE, "libvirt knows no such domain", error.original)
    if error is not None:
        why = (error.cause or error.title).rstrip(".")
        return failed(Cause.HOST_UNREACHABLE, error.one_line(), error.original, why=why)
    return passed(f"libvirt answers at {facts.uri}")


def _power(facts: Facts) -> Ruling:
    domain = facts.domain
    assert domain is not None  # noqa: S101 - the connection was checked
    why = domain.power_reason or "libvirt gives no reason"
    log = _log(facts)
    if domain.power_reason in PANICS:
        return failed(Cause.PANICKED, f"the domain is {why}", log, why=why)
    match domain.power:
        case PowerState.OFF:
            return failed(Cause.OFF, f"the domain is off: {why}", log, why=why)
        case PowerState.PAUSED:
            return failed(Cause.PAUSED, f"the domain is paused: {why}", log, why=why)
        case PowerState.UNKNOWN:
            return failed(Cause.UNKNOWN, "libvirt reports no state", log, why="libvirt reports no state of the guest")
        case PowerState.RUNNING:
            ago = _since_start(facts)
            return passed(f"running{f' for {ago}' if ago else ''}: {why}", log)


def _log(facts: Facts) -> str:
    """The telling lines of the guest's log on its host."""
    return "" if facts.host is None else "\n".join(facts.host.log)


def _since_start(facts: Facts) -> str:
    return "" if facts.started_at is None else duration(round(max(facts.at - facts.started_at, 0.0)))


def _controller(facts: Facts) -> Ruling:
    assert facts.live is not None  # noqa: S101
    if facts.live.has_controller:
        return passed("the running definition has a virtio-serial controller")
    if facts.stored is not None and facts.stored.agent_channels:
        return unknown("none in the running definition; the stored one brings one at the next power cycle")
    return unknown("none in the running definition: no channel can be plugged in while it runs")


def _channel(facts: Facts) -> Ruling:
    """The running definition decides: libvirt uses the first virtio channel named exactly AGENT_PORT."""
    live, stored = facts.live, facts.stored
    assert live is not None  # noqa: S101
    channels = live.agent_channels
    if len(channels) > 1:
        xml = "\n".join(channel.xml for channel in channels)
        return failed(Cause.TWO_CHANNELS, f"{len(channels)} channels of that name", xml, count=str(len(channels)))
    if channels and channels[0].source not in ("unix", ""):
        kind = channels[0].source
        return failed(Cause.NOT_A_SOCKET, f"its kind is {kind}, not unix", channels[0].xml, kind=kind)
    if channels:
        return passed(f"{AGENT_PORT} is there, of the kind unix", channels[0].xml)
    if stored is not None and stored.agent_channels:
        return failed(Cause.STORED_ONLY, "in the stored definition alone", stored.agent_channels[0].xml)
    if live.misnamed_channels:
        port = live.misnamed_channels[0]
        return failed(Cause.WRONG_NAME, f"a channel is named {port.name or '(nothing)'}", port.xml, name=port.name)
    if live.serial_sockets:
        port = live.serial_sockets[0]
        name = f"a serial port ({port.source} {port.path or 'socket'})"
        return failed(Cause.ISA_SERIAL, f"no virtio channel, but {name}", port.xml, name=name)
    if live.has_controller:
        return failed(Cause.NO_CHANNEL, f"no channel {AGENT_PORT} in the running definition")
    return failed(Cause.NO_CONTROLLER, f"no channel {AGENT_PORT} and no controller in the running definition")


def _stored(facts: Facts) -> Ruling:
    if facts.domain is not None and not facts.domain.persistent:
        return passed("the domain is transient: it has no stored definition")
    if facts.stored is None:
        return unknown("the stored definition could not be read")
    if not facts.stored.agent_channels:
        return failed(Cause.LIVE_ONLY, "the stored definition has no agent channel")
    return passed("the stored definition has the channel too", facts.stored.agent_channels[0].xml)


def _history(facts: Facts) -> Ruling:
    lines = [line for line in facts.port_lines if facts.at - line.at <= FLAP_WINDOW_S]
    closings = [line for line in lines if line.kind is HappeningKind.PORT_CLOSED]
    original = "\n".join(f"{clock_time(line.at)}  {line.what}" for line in lines)
    if len(closings) >= FLAPS and facts.at - closings[-1].at < STEADY_S:
        span = duration(max(closings[-1].at - closings[0].at, 0.1))
        found = f"closed {len(closings)} times, last at {clock_time(closings[-1].at)}"
        return failed(Cause.FLAPPING, found, original, count=str(len(closings)), span=span)
    if not lines:
        watched = facts.patient.watched_since
        seen = "no events were seen" if watched is None else f"no change in the {duration(facts.at - watched)} watched"
        return passed(seen)
    return passed(f"last change at {clock_time(lines[-1].at)}: {lines[-1].what}", original)


def _port(facts: Facts) -> Ruling:
    domain = facts.domain
    assert domain is not None  # noqa: S101
    if facts.agent is not None and isinstance(facts.agent.ping.trouble, NotConnectedError):
        return _closed(facts)
    if domain.channel is Channel.UNKNOWN:
        why = "this kind of host does not report whether the port is open"
        return unknown(why)
    if domain.channel is Channel.OPEN:
        return passed("a process in the guest has it open (state='connected')")
    return _closed(facts)


def _closed(facts: Facts) -> Ruling:
    """A closed port, told as finely as what was seen of it allows."""
    said = "error “is not connected”" if facts.agent is not None else "state='disconnected'"
    found = f"nothing in the guest has it open ({said})"
    lines = facts.port_lines
    closed = [line for line in lines if line.kind is HappeningKind.PORT_CLOSED]
    if closed:
        since = f" at {clock_time(closed[-1].at)}"
        return failed(Cause.WENT_AWAY, f"it closed{since}", closed[-1].what, since=since)
    if facts.was_asked_before:
        return failed(Cause.WENT_AWAY, "it was open since the start", "\n".join(facts.warnings), since="")
    ago = _since_start(facts)
    if facts.saw_start:
        return failed(Cause.NEVER_OPENED, f"{found}, and it never was since the start", ago=ago, guess=_guess(facts))
    after = f", {ago} after its start" if ago else ""
    return failed(Cause.PORT_CLOSED, found, ago=after, guess=_guess(facts))


def _guess(facts: Facts) -> str:
    if facts.may_be_booting:
        return "it may still be booting, or has no agent that runs"
    return "no agent is installed, or its service does not run"


def _socket(facts: Facts) -> Ruling:
    """Who is connected on the host; a second client is named only where the host shows it."""
    seen = facts.host
    answered = facts.agent is not None and facts.agent.ping.trouble is None
    if seen is None and answered:
        return passed("libvirt has it: the agent answered through it")
    if seen is None:
        return unknown("the host is another machine: its sockets cannot be seen from here")
    facing = [f"owner {seen.socket_owner}"] if seen.socket_owner else []
    if seen.label and seen.label != "unconfined":
        facing.append(f"label {seen.label}")
    evidence = "\n".join(filter(None, ("; ".join(facing), *seen.denials, _log(facts))))
    strangers = [client for client in seen.clients or () if not client.is_libvirt]
    if strangers and not answered:
        who = ", ".join(f"{client.program} (pid {client.pid})" for client in strangers)
        return failed(Cause.HELD_BY_OTHER, f"connected: {who}", evidence, who=who)
    if seen.denials:
        return unknown("the host's security module refused this guest something", evidence)
    if seen.clients is None:
        return unknown("who is connected cannot be seen without root's rights", evidence)
    queued = f"; {seen.waiting} more wait in its queue" if seen.waiting else ""
    named = ", ".join(f"{client.program} (pid {client.pid})" for client in seen.clients) or "nobody"
    return passed(f"connected: {named}{queued}", evidence)


def _held(facts: Facts) -> Ruling:
    if facts.patient.held:
        return skipped(f"{facts.patient.held}: the agent is not asked until it has ended")
    if facts.mark:
        return passed("a backup of qga-tui has marked this guest; none is known to run from here", facts.mark)
    return passed("none of ours is at work")


CHECKS: tuple[Check, ...] = (
    Check("connection", "Host", "the connection to libvirt", (), _connection),
    Check("power", "Guest", "the domain's state and why", ("connection",), _power),
    Check("controller", "Controller", "the virtio-serial controller in the running XML", ("power",), _controller),
    Check("channel", "Channel", "type, source and name of the channel in the running XML", ("power",), _channel),
    Check("stored", "Stored XML", "the channel in the stored XML", ("channel",), _stored),
    Check("history", "Port's history", "the openings and closings that libvirt reported", ("channel",), _history),
    Check("port", "Port", "the channel's state in the running XML", ("channel",), _port),
    Check("socket", "Socket on the host", "ss -xp, owner, labels and denials", ("port",), _socket),
    Check("backup", "Backup at work", "our running backups, the mark in the metadata", ("port",), _held),
    *AGENT_CHECKS,
)
"""In the order in which they are made, from the outside in."""
