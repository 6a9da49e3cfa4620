"""What a check found, and the check itself as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tui.doctor.causes import Cause
from tui.doctor.facts import Facts


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a check makes of the facts: `found` in our words, `original` in those of whoever reported it.

    `words` fill the fields of what is said of the cause.
    """

    outcome: Outcome
    found: str
    cause: Cause | None = None
    original: str = ""
    words: Mapping[str, str] = field(default_factory=dict)


def passed(found: str, original: str = "") -> Ruling:
    """All is well there."""
    return Ruling(Outcome.PASSED, found, original=original)


def failed(cause: Cause, found: str, original: str = "", **words: str) -> Ruling:
    """That is a cause of trouble."""
    return Ruling(Outcome.FAILED, found, cause, original, words)


def unknown(found: str, original: str = "") -> Ruling:
    """The host or the guest does not say."""
    return Ruling(Outcome.UNKNOWN, found, original=original)


def skipped(found: str) -> Ruling:
    """It could not be looked at."""
    return Ruling(Outcome.SKIPPED, found)


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the facts. `needs` are the ids of checks that must not have failed or been skipped before it."""

    id: str
    title: str
    looks_at: str
    needs: tuple[str, ...]
    judge: Callable[[Facts], Ruling]


@dataclass(frozen=True, slots=True)
class Finding:
    """A check with its ruling."""

    id: str
    title: str
    looks_at: str
    ruling: Ruling

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.ruling.outcome
