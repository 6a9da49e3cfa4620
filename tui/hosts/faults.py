"""libvirt's error codes and texts, classified into the errors that the rooms handle.

The numbers are virErrorNumber and virErrorDomain; they are written out because bindings built against an older
libvirt lack the newer names. The code is tested first, then the text is searched: texts carry changing prefixes.
"""

from __future__ import annotations

import json
import re

from tui.agent import errors as agent
from tui.hosts.port import HostError, NoSuchDomainError, NotReadyToPivotError

INTERNAL_ERROR = 1
NO_SUPPORT = 3
INVALID_CONN = 6
INVALID_ARG = 8
OPERATION_DENIED = 29
SYSTEM_ERROR = 38
RPC = 39
NO_DOMAIN = 42
NO_NETWORK = 43
AUTH_FAILED = 45
NO_STORAGE_POOL = 49
NO_STORAGE_VOL = 50
OPERATION_INVALID = 55
OPERATION_TIMEOUT = 68
ARGUMENT_UNSUPPORTED = 74
AUTH_CANCELLED = 79
NO_DOMAIN_METADATA = 80
BLOCK_COPY_ACTIVE = 83
AGENT_UNRESPONSIVE = 86
ACCESS_DENIED = 88
XML_INVALID_SCHEMA = 92
AUTH_UNAVAILABLE = 94
AGENT_COMMAND_TIMEOUT = 112
AGENT_COMMAND_FAILED = 113

FROM_RPC = 7
FROM_REMOTE = 13

_DENIED = {OPERATION_DENIED, AUTH_FAILED, AUTH_CANCELLED, ACCESS_DENIED, AUTH_UNAVAILABLE}


def is_denial(code: int, text: str) -> bool:
    """Whether the error says that this user may not do this, so that less might still be allowed.

    A socket that may not be opened is one too: libvirt's other socket, for looking only, may be open to everybody.
    """
    return code in _DENIED or ("socket" in text and "Permission denied" in text)


_CONNECTION_WORDS = (
    "client socket is closed",
    "end of file while reading",
    "cannot recv data",
    "connection reset",
    "closed due to keepalive timeout",
    "received hangup event on socket",
    "error event on socket",
)


def is_connection_loss(code: int, domain: int, text: str) -> bool:
    """Whether the error says that the line to the daemon is gone, whatever was asked."""
    if code == INVALID_CONN or "client socket is closed" in text:
        return True
    in_transport = domain in {FROM_RPC, FROM_REMOTE} and code in {SYSTEM_ERROR, INTERNAL_ERROR}
    return in_transport and any(words in text.lower() for words in _CONNECTION_WORDS)


def is_of_transport(code: int, domain: int) -> bool:
    """Whether the error may come of the line to the daemon, whatever its words."""
    return domain in {FROM_RPC, FROM_REMOTE} or code == INTERNAL_ERROR


def agent_error(code: int, text: str) -> agent.AgentError:
    """The error of an agent call on a living connection; a reply too large leaves open whether it was executed."""
    if code in {AGENT_COMMAND_FAILED, INTERNAL_ERROR} and "agent command" in text:
        return _command_error(text)
    if code == SYSTEM_ERROR and "agent response" in text:
        return agent.LinkBrokenError("The agent's reply was too large and broke its link", original=text)
    if code == AGENT_UNRESPONSIVE:
        return _unresponsive(text)
    if code in _DENIED:
        return agent.AccessDeniedError("This connection may not talk to the guest agent", original=text)
    known: dict[int, tuple[type[agent.AgentError], str]] = {
        OPERATION_INVALID: (agent.GuestNotRunningError, "The guest is not running"),
        ARGUMENT_UNSUPPORTED: (agent.NoChannelError, "The running guest has no agent channel"),
        AGENT_COMMAND_TIMEOUT: (agent.UnansweredError, "The guest agent did not answer in time"),
        OPERATION_TIMEOUT: (agent.AgentBusyError, "Another program is using this guest's agent"),
        RPC: (agent.ReplyTooLargeError, "The agent's reply was too large for libvirt and is lost"),
        NO_DOMAIN: (agent.GuestNotRunningError, "The guest is gone"),
    }
    kind, title = known.get(code, (agent.AgentError, "The guest agent could not be asked"))
    return kind(title, cause=text if kind is agent.AgentError else "", original=text)


def _unresponsive(text: str) -> agent.AgentError:
    if "due to an error" in text:
        return agent.LinkBrokenError("libvirt gave up on the link to the agent", original=text)
    if "disappeared" in text:
        return agent.AgentVanishedError("The guest agent went away while it executed a command", original=text)
    if "not connected" in text:
        return agent.NotConnectedError("The guest agent is not connected", original=text)
    return agent.UnansweredError("The guest agent did not answer", original=text)


_CHANGES = {"guest-exec", "guest-file-write"}
"""What runs or writes in a guest."""


def with_its_doubt(error: agent.AgentError, request: str) -> agent.AgentError:
    """The same error, which says so where `request` may have changed the guest although no answer came."""
    command = json.loads(request)["execute"]
    if error.may_have_acted and command in _CHANGES:
        doubt = f"{command} may have been executed all the same"
        error.cause = f"{error.cause}; {doubt}" if error.cause else doubt
    return error


_UNAVAILABLE = re.compile(
    r"command \S+ has (been disabled|not been found)|is not allowed|is in frozen state", re.IGNORECASE
)
"""In the agent's words; a file handle may be "not found" too, which says nothing of commands."""


def _command_error(text: str) -> agent.CommandFailedError:
    """The agent's own text follows libvirt's "unable to execute QEMU agent command 'NAME': "."""
    _, found, own = text.partition("agent command '")
    own = own.partition("': ")[2] if found else text
    if _UNAVAILABLE.search(own):
        return agent.CommandUnavailableError("The guest agent does not offer this command", cause=own, original=text)
    return agent.CommandFailedError("The guest agent reported an error", cause=own, original=text)


def host_error(code: int, text: str) -> HostError:
    """The error of any other call on a connection that is alive."""
    if code == NO_DOMAIN:
        return NoSuchDomainError("There is no such guest on this host", original=text, code=code)
    if code == BLOCK_COPY_ACTIVE:
        return NotReadyToPivotError("The block job is not ready yet", original=text, code=code)
    if code in _DENIED:
        return HostError(
            "libvirt refused this",
            cause=text,
            next_step="Connect as a user in the group libvirt, or as root.",
            original=text,
            code=code,
        )
    return HostError("libvirt reported an error", cause=text, original=text, code=code)
