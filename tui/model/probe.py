"""What came of asking an agent whether it lives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent answered guest-ping after `ping_ms` milliseconds; `frozen` is what guest-fsfreeze-status said."""

    at: float
    ping_ms: float
    frozen: bool


class Silence(StrEnum):
    """Why no answer came though the port is open."""

    NO_REPLY = "no reply"
    LINK_BROKEN = "link broken"
    NOT_ALLOWED = "not allowed"
    BUSY = "busy"
    NOT_RETURNED = "not returned"
    """The hypervisor has not given the call back: it, or another program's command before ours, takes long."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer came; `in_a_row` counts the unanswered pings since the last answer or since the port opened."""

    at: float
    silence: Silence
    original: str
    in_a_row: int = 1


ProbeOutcome = Answered | Unanswered
