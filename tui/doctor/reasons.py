"""Why an agent is in the state it is in: one line for the list, and the next step for whoever needs the agent."""

from __future__ import annotations

import time

from tui.agent import errors
from tui.model.errors import ExplainedError
from tui.model.guest import AgentState, Channel, DomainFacts, PowerState
from tui.model.probe import Answered, ProbeOutcome, Silence, Unanswered


def diagnose(
    facts: DomainFacts, probe: ProbeOutcome | None, port_changed_at: float | None = None
) -> tuple[AgentState, str]:
    """The state that the evidence proves, and the reason in words.

    `port_changed_at` is the Unix time of the port's last event in this run. `connected` is a claim of the hypervisor;
    only an answered ping makes it `responding`.
    """
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
            closed = "" if port_changed_at is None else f"closed {_clock(port_changed_at)}, "
            return AgentState.DISCONNECTED, f"{closed}nothing in the guest has the port open"
        case Channel.UNKNOWN:
            return AgentState.UNKNOWN, "the host does not report the port's state"
        case Channel.OPEN:
            return _open_port(probe, "port open" if port_changed_at is None else f"port open {_clock(port_changed_at)}")


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))


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
        case Unanswered(silence=Silence.LINK_BROKEN):
            return AgentState.UNRESPONSIVE, "libvirt gave up on the link to the agent"
        case Unanswered(in_a_row=1):
            return AgentState.UNRESPONSIVE, f"{port}, last ping unanswered"
        case Unanswered(in_a_row=count):
            return AgentState.UNRESPONSIVE, f"{port}, {count} pings unanswered"


_NEXT_STEPS: dict[AgentState, str] = {
    AgentState.OFF: "Start the guest first.",
    AgentState.PAUSED: "Resume the guest first.",
    AgentState.NO_CHANNEL: "Add the channel org.qemu.guest_agent.0 to its XML, then power it off and on.",
    AgentState.PENDING: "Shut it down and start it again; a reboot is not enough.",
    AgentState.DISCONNECTED: (
        "If it is not just booting: install qemu-guest-agent in it, then start it there "
        "(systemctl start qemu-guest-agent; Windows: Start-Service QEMU-GA)."
    ),
    AgentState.UNRESPONSIVE: (
        "Restart the agent in the guest (systemctl restart qemu-guest-agent; Windows: Restart-Service QEMU-GA)."
    ),
    AgentState.FROZEN: "If no backup is running, thaw it: virsh domfsthaw GUEST.",
    AgentState.UNKNOWN: "Look at it with virsh dumpxml GUEST.",
}


def next_step(state: AgentState) -> str:
    """What to do about a state that keeps the agent from being used; empty where nothing is wrong."""
    return _NEXT_STEPS.get(state, "")


_STATE_BEHIND: dict[type[errors.AgentError], AgentState] = {
    errors.GuestNotRunningError: AgentState.OFF,
    errors.NoChannelError: AgentState.NO_CHANNEL,
    errors.NotConnectedError: AgentState.DISCONNECTED,
    errors.UnansweredError: AgentState.UNRESPONSIVE,
    errors.LinkBrokenError: AgentState.UNRESPONSIVE,
}


def explain(error: ExplainedError) -> ExplainedError:
    """The same error with the step that mends it, where it is an agent's and its class alone tells."""
    if error.next_step or not isinstance(error, errors.AgentError):
        return error
    if isinstance(error, errors.CommandUnavailableError):
        step = _unavailable(error.cause)
    elif isinstance(error, errors.AgentBusyError):
        step = "Wait for the other program (virsh domjobinfo GUEST), then try again."
    elif isinstance(error, errors.AccessDeniedError):
        step = "Connect with write access: as root or as a member of the group libvirt."
    else:
        behind = _STATE_BEHIND.get(type(error))
        step = "" if behind is None else next_step(behind)
    return ExplainedError(error.title, cause=error.cause, next_step=step, original=error.original)


def _unavailable(agents_words: str) -> str:
    if "frozen" in agents_words:
        return next_step(AgentState.FROZEN)
    if "has not been found" in agents_words:
        return "The agent in this guest is too old for it: update qemu-guest-agent there."
    return (
        "The guest's policy blocks it: see block-rpcs and allow-rpcs in /etc/qemu/qemu-ga.conf, or "
        "/etc/sysconfig/qemu-ga on Red Hat's and SUSE's systems; then restart the agent."
    )
