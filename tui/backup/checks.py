"""What a look before a backup or a restore says of one thing: well, a warning, or a reason not to begin."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a check says; only FAILED forbids to begin."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what, how it is, and what to do if it is not well."""

    title: str
    verdict: Verdict
    evidence: str
    next_step: str = ""


def passed(title: str, evidence: str) -> Check:
    """It is well."""
    return Check(title, Verdict.PASSED, evidence)


def warned(title: str, evidence: str, next_step: str = "") -> Check:
    """Worth knowing before it begins."""
    return Check(title, Verdict.WARNING, evidence, next_step)


def failed(title: str, evidence: str, next_step: str) -> Check:
    """It cannot begin."""
    return Check(title, Verdict.FAILED, evidence, next_step)
