"""What can go wrong between us and a guest agent, one class per thing a user would do differently."""

from __future__ import annotations

from tui.model.errors import ExplainedError


class AgentError(ExplainedError):
    """No usable answer came from the guest agent."""


class GuestNotRunningError(AgentError):
    """The domain is off or paused (VIR_ERR_OPERATION_INVALID)."""


class NoChannelError(AgentError):
    """The running domain has no agent channel (VIR_ERR_ARGUMENT_UNSUPPORTED)."""


class NotConnectedError(AgentError):
    """Nothing in the guest has the port open (VIR_ERR_AGENT_UNRESPONSIVE, "is not connected")."""


class LinkBrokenError(AgentError):
    """libvirt gave up on the link to the agent ("due to an error"; VIR_ERR_SYSTEM_ERROR after a 10 MiB reply)."""


class UnansweredError(AgentError):
    """The port is open and no answer came in time (VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_AGENT_COMMAND_TIMEOUT).

    The command may have been executed, or may still be.
    """


class AgentBusyError(AgentError):
    """Another client holds the domain's agent job (VIR_ERR_OPERATION_TIMEOUT)."""


class ReplyTooLargeError(AgentError):
    """The reply did not fit libvirt's RPC string of 4 MiB; it is lost (VIR_ERR_RPC)."""


class AccessDeniedError(AgentError):
    """This connection may not talk to agents: read-only, or refused by policy."""


class HostGoneError(AgentError):
    """The connection to the host ended; the command may have been executed."""


class MalformedReplyError(AgentError):
    """The agent answered with something that is not what its protocol promises."""


class CommandFailedError(AgentError):
    """The agent executed the command and reported an error; `original` is its own text."""


class CommandUnavailableError(CommandFailedError):
    """The agent does not offer the command: blocked, frozen or unknown (QAPI class CommandNotFound)."""


class RequestTooLargeError(AgentError):
    """The request does not fit an agent line; nothing was sent."""
