"""What can go wrong between us and a guest agent, one class per thing a user would do differently."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from tui.model.errors import ExplainedError


class AgentError(ExplainedError):
    """No usable answer came from the guest agent.

    `may_have_acted` says whether the agent may have executed the request all the same, or still may.
    """

    may_have_acted: ClassVar[bool] = True


class GuestNotRunningError(AgentError):
    """The domain is off or paused (VIR_ERR_OPERATION_INVALID)."""

    may_have_acted = False


class NoChannelError(AgentError):
    """The running domain has no agent channel (VIR_ERR_ARGUMENT_UNSUPPORTED)."""

    may_have_acted = False


class NotConnectedError(AgentError):
    """Nothing in the guest has the port open (VIR_ERR_AGENT_UNRESPONSIVE, "is not connected")."""

    may_have_acted = False


class AgentVanishedError(NotConnectedError):
    """The port was closed while the agent had a request (VIR_ERR_AGENT_UNRESPONSIVE, "disappeared")."""

    may_have_acted = True


class LinkBrokenError(AgentError):
    """libvirt gave up on the link to the agent ("due to an error"; VIR_ERR_SYSTEM_ERROR after a 10 MiB reply)."""


class UnansweredError(AgentError):
    """The port is open and no answer came in time (VIR_ERR_AGENT_UNRESPONSIVE, VIR_ERR_AGENT_COMMAND_TIMEOUT).

    The command may have been executed, or may still be.
    """


class AgentBusyError(AgentError):
    """Another client holds the domain's agent job (VIR_ERR_OPERATION_TIMEOUT)."""

    may_have_acted = False


class NotReturnedError(UnansweredError):
    """The hypervisor still has the request, longer than the agent's silence would take it: why, nobody has said.

    Another program's command may be before it, or the hypervisor hangs. `returned` is the call, with its reply.
    """

    def __init__(self, title: str, returned: asyncio.Future[str], *, cause: str = "") -> None:
        super().__init__(title, cause=cause)
        self.returned = returned


class ReplyTooLargeError(AgentError):
    """The reply did not fit libvirt's RPC string of 4 MiB; it is lost (VIR_ERR_RPC)."""


class AccessDeniedError(AgentError):
    """This connection may not talk to agents: read-only, or refused by policy."""

    may_have_acted = False


class HostGoneError(AgentError):
    """The connection to the host ended; the command may have been executed."""


class MalformedReplyError(AgentError):
    """The agent answered with something that is not what its protocol promises."""


class CommandFailedError(AgentError):
    """The agent executed the command and reported an error; `original` is its own text."""

    may_have_acted = False


class CommandUnavailableError(CommandFailedError):
    """The agent does not offer the command: blocked, frozen or unknown (QAPI class CommandNotFound)."""


class RequestTooLargeError(AgentError):
    """The request does not fit an agent line; nothing was sent."""

    may_have_acted = False


class StartInDoubtError(AgentError):
    """A user's command may have been started, and nobody will hear how it goes."""

    def __init__(self, error: AgentError) -> None:
        """`error` came in place of the answer to the start."""
        super().__init__(
            "The command may have been started",
            cause=f"the answer to its start was lost ({error.title})",
            next_step="See in the guest whether it runs before you start it again.",
            original=error.original,
        )


class NeverBegunError(CommandFailedError):
    """A command that was taken for started never began, and never will."""
