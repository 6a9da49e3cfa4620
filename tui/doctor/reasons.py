"""Why an agent is in the state it is in: one line for the list, and the next step for whoever needs the agent."""

from __future__ import annotations

from tui.agent import errors
from tui.doctor.causes import CAUSES, PANICS, Cause
from tui.doctor.facts import port_lines
from tui.doctor.systems import UNKNOWN_SYSTEM, Family, System, care_of
from tui.model.errors import ExplainedError
from tui.model.guest import AgentState, Channel, DomainFacts, Guest, HappeningKind, PowerState
from tui.model.probe import Answered, ProbeOutcome, Silence, Unanswered
from tui.model.quantities import clock_time


def diagnose(
    facts: DomainFacts, probe: ProbeOutcome | None, port_changed_at: float | None = None
) -> tuple[AgentState, str]:
    """The state that the evidence proves, and the reason in words.

    `port_changed_at` is the Unix time of the port's last event in this run. `connected` is a claim of the hypervisor;
    only an answered ping makes it `responding`.
    """
    if facts.unread:
        return AgentState.UNKNOWN, facts.unread
    if facts.power is PowerState.OFF:
        return AgentState.OFF, facts.power_reason
    if facts.power is PowerState.PAUSED:
        return AgentState.PAUSED, facts.power_reason
    if facts.power is PowerState.UNKNOWN:
        return AgentState.UNKNOWN, "the hypervisor does not say whether it runs"
    match facts.channel:
        case Channel.ABSENT:
            return AgentState.NO_CHANNEL, "the guest has no agent device"
        case Channel.STORED_ONLY:
            return AgentState.PENDING, "the agent device is added at the next power cycle"
        case Channel.CLOSED:
            closed = "" if port_changed_at is None else f"closed {clock_time(port_changed_at)}, "
            return AgentState.DISCONNECTED, f"{closed}nothing in the guest has the port open"
        case Channel.UNKNOWN:
            return AgentState.UNKNOWN, "the host does not report the port's state"
        case Channel.OPEN:
            opened = "" if port_changed_at is None else f" {clock_time(port_changed_at)}"
            return _open_port(probe, f"port open{opened}")


def _open_port(probe: ProbeOutcome | None, port: str) -> tuple[AgentState, str]:
    match probe:
        case None:
            return AgentState.CONNECTED, f"{port}, not asked yet"
        case Answered(frozen=True):
            return AgentState.FROZEN, "file systems are frozen"
        case Answered():
            return AgentState.RESPONDING, "answered the last ping"
        case Unanswered(silence=Silence.NOT_ALLOWED):
            return AgentState.CONNECTED, f"{port}, but this connection may not ask the agent"
        case Unanswered(silence=Silence.BUSY):
            return AgentState.CONNECTED, f"{port}, another program is using the agent"
        case Unanswered(silence=Silence.NOT_RETURNED):
            return (
                AgentState.CONNECTED,
                f"{port}, no answer yet: another program's command or libvirt itself takes long",
            )
        case Unanswered(silence=Silence.LINK_BROKEN):
            return AgentState.UNRESPONSIVE, "libvirt gave up on the link to the agent"
        case Unanswered(in_a_row=1):
            return AgentState.UNRESPONSIVE, f"{port}, last ping unanswered"
        case Unanswered(in_a_row=count):
            return AgentState.UNRESPONSIVE, f"{port}, {count} pings unanswered"


_CAUSE_BEHIND_STATE: dict[AgentState, Cause] = {
    AgentState.OFF: Cause.OFF,
    AgentState.PAUSED: Cause.PAUSED,
    AgentState.PENDING: Cause.STORED_ONLY,
    AgentState.DISCONNECTED: Cause.PORT_CLOSED,
    AgentState.UNRESPONSIVE: Cause.SILENT,
    AgentState.FROZEN: Cause.FROZEN,
    AgentState.UNKNOWN: Cause.UNKNOWN,
}
"""The coarsest cause that fits a state of the list; the doctor's checks tell it finer."""
_CAUSE_BEHIND_SILENCE: dict[Silence, Cause] = {
    Silence.NO_REPLY: Cause.SILENT,
    Silence.LINK_BROKEN: Cause.LINK_BROKEN,
    Silence.NOT_ALLOWED: Cause.NOT_ALLOWED,
    Silence.BUSY: Cause.BUSY,
    Silence.NOT_RETURNED: Cause.NO_ANSWER_YET,
}
ATTACH = "Attach the channel: live where the guest has a virtio-serial controller, else for its next power cycle."
"""Which of the two it is, the list does not know."""
WAIT = "Wait: it may still be booting. If it stays so, install or start its agent."
MAY_NOT_START = (
    "See in the guest whether that file may be executed. If it may, let the doctor look: it tries a harmless program, "
    "and names what may keep the system from starting any."
)
"""Which of the two it is, only a trial can tell."""

_CAUSE_BEHIND_ERROR: dict[type[errors.AgentError], Cause] = {
    errors.GuestNotRunningError: Cause.OFF,
    errors.NoChannelError: Cause.NO_CHANNEL,
    errors.NotConnectedError: Cause.PORT_CLOSED,
    errors.AgentVanishedError: Cause.PORT_CLOSED,
    errors.UnansweredError: Cause.SILENT,
    errors.LinkBrokenError: Cause.LINK_BROKEN,
    errors.AgentBusyError: Cause.BUSY,
    errors.AccessDeniedError: Cause.NOT_ALLOWED,
    errors.MalformedReplyError: Cause.GARBLED,
}


def mend(cause: Cause) -> str:
    """What mends a cause, in a sentence without markup."""
    return CAUSES[cause].mends.replace("`", "")


def next_step(guest: Guest, *, booting: bool = False) -> str:
    """What to do about a state that keeps the agent from being used; empty where nothing is wrong.

    `booting` is whether the guest began so lately that its agent may be still to come.
    """
    if booting and guest.agent.state is AgentState.DISCONNECTED:
        return WAIT
    if guest.agent.state is AgentState.NO_CHANNEL:
        return ATTACH
    cause = _cause_behind(guest)
    return "" if cause is None else mend(cause)


def _cause_behind(guest: Guest) -> Cause | None:
    """The cause that fits what the list knows, none that the doctor's look at the same would contradict."""
    state, probe = guest.agent.state, guest.probe
    if state is AgentState.OFF and guest.facts.power_reason in PANICS:
        return Cause.PANICKED
    if state is AgentState.DISCONNECTED and any(
        line.kind is HappeningKind.PORT_CLOSED for line in port_lines(guest.timeline)
    ):
        return Cause.WENT_AWAY
    if state in (AgentState.CONNECTED, AgentState.UNRESPONSIVE) and isinstance(probe, Unanswered):
        return _CAUSE_BEHIND_SILENCE[probe.silence]
    return _CAUSE_BEHIND_STATE.get(state)


def explain(error: ExplainedError, system: System = UNKNOWN_SYSTEM, *, frozen: bool = False) -> ExplainedError:
    """The same error with the step that mends it, where it is an agent's and its class alone tells.

    Of a command that the agent refused, `system` is the guest's and `frozen` what its agent says of itself.
    """
    if isinstance(error, errors.CommandUnavailableError):
        step = mend(Cause.FROZEN) if frozen else _unavailable(error.original or error.cause, system)
    elif error.next_step or not isinstance(error, errors.AgentError):
        return error
    elif "execute child process" in error.original and "Permission denied" in error.original:
        step = MAY_NOT_START
    else:
        cause = _CAUSE_BEHIND_ERROR.get(type(error))
        step = "" if cause is None else mend(cause)
    return ExplainedError(error.title, cause=error.cause, next_step=step, original=error.original)


def _unavailable(agents_words: str, system: System) -> str:
    if "frozen" in agents_words:
        return mend(Cause.FROZEN)
    if "has not been found" in agents_words or "too old" in agents_words:
        return mend(Cause.TOO_OLD)
    return allow_step(system)


def allow_step(system: System) -> str:
    """How a policy is changed that blocks a command: which list in which file, and what makes it hold."""
    care = care_of(system)
    where = "in the guest" if system.family is Family.UNKNOWN else f"in the guest ({system.family})"
    return f"Allow it {where}: {care.policy.step}; then {care.restart}"
