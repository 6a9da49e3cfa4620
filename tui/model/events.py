"""What a host reports by itself: past-tense facts, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BlockJobEnd(StrEnum):
    """virConnectDomainEventBlockJobStatus."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class DomainChanged:
    """A domain started, stopped, was paused, defined or reconfigured; its facts are to be read anew.

    `reason` is why, in the words of `model.guest` where they stand there, empty where the host does not say.
    """

    host: str
    uuid: str
    what: str
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DomainRemoved:
    """A domain is gone from the host: undefined while off, or a transient one that stopped."""

    host: str
    uuid: str
    at: float


@dataclass(frozen=True, slots=True)
class AgentPortOpened:
    """A process in the guest opened the agent's port; a claim of life, not its proof."""

    host: str
    uuid: str
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class AgentPortClosed:
    """The guest's end of the agent's port was closed."""

    host: str
    uuid: str
    why: str
    at: float


@dataclass(frozen=True, slots=True)
class BlockJobChanged:
    """A block job on disk `target` ended or became ready."""

    host: str
    uuid: str
    target: str
    end: BlockJobEnd
    at: float


@dataclass(frozen=True, slots=True)
class HostLost:
    """The connection to a host ended without being asked to."""

    host: str
    why: str
    at: float


STOPPED, PAUSED, IO_ERROR = "stopped", "paused", "disk I/O error"
"""What happened in a DomainChanged on which something depends."""

HostEvent = DomainChanged | DomainRemoved | AgentPortOpened | AgentPortClosed | BlockJobChanged | HostLost
