"""A guest that left this host, or whose memory is saved: it is neither started nor merged here.

A guest that was migrated runs on another host, on the same images; only QEMU's locks, where the storage has them, keep
a second one from writing to them. Memory that was saved fits the disks as they were, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from shlex import quote

from tui.backup.by_hand import merge_file, virsh
from tui.backup.errors import NeedsRescueError
from tui.backup.journal import Entry, RunStage
from tui.backup.plan import BackupPlan
from tui.model.errors import ExplainedError
from tui.model.guest import MIGRATED_AWAY, SAVED, PowerState


class Absence(StrEnum):
    """How a guest left; the words are those of the hypervisor's reason for being off."""

    NONE = ""
    MIGRATED = MIGRATED_AWAY
    SAVED = SAVED


_SAYS_NOTHING = frozenset({"", "failed to start", "left by the daemon"})
"""Reasons for being off which tell nothing of how the guest left before: those of a failed start and of a daemon that
was started anew replace the one there was."""


class GuestAwayError(NeedsRescueError):
    """The guest is not here; `absence` tells how it left."""

    def __init__(self, plan: BackupPlan, absence: Absence) -> None:
        title, cause, next_step = away_words(plan, absence)
        super().__init__(title, cause=cause, next_step=next_step)
        self.absence = absence


def noted_absence(entries: Iterable[Entry]) -> Absence:
    """How the guest left, as the journal says: the last word of it."""
    noted = Absence.NONE
    for entry in entries:
        word = entry.details.get("absence")
        if entry.stage is RunStage.NOTICED and word in list(Absence):
            noted = Absence(str(word))
    return noted


def absence_of(power: PowerState, reason: str, entries: Iterable[Entry] = (), noted: Absence = Absence.NONE) -> Absence:
    """How a guest left that is not here; NONE where it is here, or was stopped here.

    What was `noted` of it, or is in the journal, counts where the hypervisor's reason tells nothing any more.
    """
    if power not in (PowerState.OFF, PowerState.UNKNOWN):
        return Absence.NONE
    if reason in (Absence.MIGRATED, Absence.SAVED):
        return Absence(reason)
    return (noted or noted_absence(entries)) if reason in _SAYS_NOTHING else Absence.NONE


def away_words(plan: BackupPlan, absence: str) -> tuple[str, str, str]:
    """Title, cause and next step for a guest that left."""
    overlays = ", ".join(disk.overlay for disk in plan.disks)
    rescue = f"qga-tui rescue {quote(plan.guest)}"
    if absence == Absence.MIGRATED:
        title = "The guest was migrated to another host during its backup"
        cause = f"it runs there, and writes to {overlays}; nothing is started or merged here"
        way = "Or migrate it back, then rescue it here. Start it here only if it runs nowhere else."
        return title, cause, f"Delete nothing. On the host on which it runs: {rescue}. {way}"
    title = "The guest's memory was saved during its backup"
    cause = f"the saved memory fits {overlays} alone; nothing is started or merged here"
    start = f"({virsh(plan, 'start')}, or virsh restore with the file that it was saved to)"
    return title, cause, f"Delete nothing. Start it from its saved memory {start}, then rescue it: {rescue} --apply."


def gone_error(plan: BackupPlan, error: ExplainedError) -> NeedsRescueError:
    """What to tell of a guest that this host does not know any more."""
    files = " && ".join(merge_file(disk) for disk in plan.disks)
    return NeedsRescueError(
        "The guest is no longer defined on this host",
        cause=f"it was migrated, undefined or ended during its backup; {', '.join(d.overlay for d in plan.disks)} hold "
        "what it wrote since the snapshot",
        next_step="Delete nothing. If it runs on another host, rescue it there (qga-tui rescue "
        f"{quote(plan.guest)}). If it runs nowhere: {files}, then define or start it again as it was before.",
        original=error.original,
    )
