"""Why a guest did not freeze, in its agent's own words: whether that passes by itself, and what mends it."""

from __future__ import annotations

from tui.agent.errors import AgentBusyError, CommandFailedError, CommandUnavailableError
from tui.model.errors import ExplainedError

FREEZE_NOTE = "a freeze makes a few guests hang or crash (--quiesce off does without)"
_DENIALS = ("permission denied", "operation not permitted", "access is denied")
_SELINUX = (
    "Where SELinux confines the guest's agent, this lets it freeze (in the guest): "
    "setsebool -P virt_qemu_ga_read_nonsecurity_files on"
)


def passes_by_itself(error: ExplainedError) -> bool:
    """Whether a second try may freeze: the agent was busy, or tried and failed for no lasting reason.

    An agent that did not answer may freeze yet: it is not to be asked again.
    """
    if isinstance(error, AgentBusyError):
        return True
    is_failure = isinstance(error, CommandFailedError) and not isinstance(error, CommandUnavailableError)
    return is_failure and not _is_denied(error)


def freeze_hint(error: ExplainedError) -> str:
    """What may let a guest freeze that was denied it, empty where nothing is known."""
    return _SELINUX if isinstance(error, CommandFailedError) and _is_denied(error) else ""


def _is_denied(error: ExplainedError) -> bool:
    said = error.original.lower()
    return any(words in said for words in _DENIALS)
