"""What is on a guest of another account or machine: told as that, and left alone while it may live."""

from __future__ import annotations

import time
from dataclasses import replace

from tui.backup.leftovers import GuestEvidence, Leftover, Urgency, Way
from tui.backup.liveness import Standing
from tui.backup.mark import Owner, owner_words


def held(evidence: GuestEvidence) -> Leftover:
    """A guest on which somebody works whose process is seen to live."""
    return Leftover(
        evidence,
        Way.HELD,
        Urgency.WHENEVER,
        "Somebody else works on this guest",
        f"{_who(evidence.owner)}. Its process runs on this machine, and it ends by itself: leave the guest alone.",
    )


def of_another(found: Leftover) -> Leftover:
    """The same leftover where the run is not of this account: only once that is confirmed is anything done about it."""
    evidence = found.evidence
    if not isinstance(evidence, GuestEvidence):
        return found
    return replace(
        found,
        way=Way.MERGE_CONFIRMED,
        title=f"{found.title}, by another account or machine",
        explanation=f"{_claim_words(evidence)} {found.explanation} It is refused as long as a sign of life is seen.",
    )


def _claim_words(evidence: GuestEvidence) -> str:
    if evidence.standing is Standing.GONE:
        return f"Its process has ended on this machine: {_who(evidence.owner)}."
    if evidence.owner is None:
        return "It may be running: no mark and no journal of this account tells of it."
    return f"It may be running: {_who(evidence.owner)}."


def _who(owner: Owner | None) -> str:
    return owner_words(owner, time.time()) if owner is not None else "nobody is known"
