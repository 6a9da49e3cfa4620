"""What was left behind on a guest: the evidence, the words for it, and the ways on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tui.backup.chain import Place
from tui.backup.liveness import Standing
from tui.backup.mark import Owner
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.backup.restore.plan import RestorePlan
from tui.model.guest import PowerState


class Way(StrEnum):
    """What can be done about a leftover; only one of them is offered."""

    ATTACH = "attach"
    """Its worker lives: watch it."""
    THAW = "thaw"
    """The guest is frozen, and nothing else is amiss with its disks."""
    MERGE = "merge"
    """Commit what is on the overlays, pivot, tidy up."""
    PIVOT = "pivot"
    """The commit is ready: pivot, tidy up."""
    TIDY = "tidy"
    """The guest is on its own disks; overlays, mark or journal are to be closed."""
    MERGE_CONFIRMED = "merge-confirmed"
    """Nothing of ours, or another account's: done once the guest's name was typed, and no sign of life is seen."""
    HELD = "held"
    """Somebody else works on it and is alive: it is left alone."""
    FINISH = "finish"
    """A restore had begun to move files, whole copies all: go on to the new state."""
    UNDO = "undo"
    """A restore is put back to the old state."""
    EXPLAIN = "explain"
    """Nothing is done: the words say what to do by hand."""


class Urgency(StrEnum):
    """How soon somebody has to act."""

    NOW = "now"
    """Data is lost or a guest stands still as long as nothing is done."""
    SOON = "soon"
    """Nothing is lost, but overlays grow."""
    WHENEVER = "whenever"


APPLICABLE = frozenset({Way.THAW, Way.MERGE, Way.PIVOT, Way.TIDY, Way.FINISH, Way.UNDO})
"""The ways that need no confirmation."""
RUNNING = frozenset({Way.ATTACH, Way.HELD})
"""Nothing was left behind: somebody is at work."""


@dataclass(frozen=True, slots=True)
class DiskEvidence:
    """One disk: `place` as the running (or, while off, the stored) definition has it; whether the files are there.

    `listed_by` names snapshot objects that name the overlay, `base_users` other guests that use the base;
    `switched_by_libvirt` tells that the stored definition spells the chain out, as a snapshot leaves it; `is_proven`
    that the overlay holds nothing that its base lacks.
    """

    disk: PlannedDisk
    place: Place
    stored_place: Place
    overlay_exists: bool
    listed_by: tuple[str, ...] = ()
    base_users: tuple[str, ...] = ()
    switched_by_libvirt: bool = False
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class GuestEvidence:
    """One guest with what seems to be left on it; `plan` is the run's own, or made up from the definition.

    `is_ours` where a mark, a journal or the names say so; `stage` is the journal's last word, empty without one.
    `definition` is the file in which the definition was kept, empty where there is none. `is_stray` where there is
    nothing but an overlay's file; the plan has no UUID then if no guest uses what it lies on. `absence` tells how a
    guest that is not here left (`away.Absence`), empty where it did not. `mark` is the element in the metadata, `owner`
    who left it, `standing` what is known of that process; `is_own_run` where the journal is this user's, of this
    hypervisor, and no other machine has taken the run over. `shared` is the type of a stray overlay's file system where
    other hosts may use it, too.
    """

    plan: BackupPlan
    power: PowerState
    power_reason: str
    is_ours: bool
    disks: tuple[DiskEvidence, ...]
    worker: int | None = None
    stage: str = ""
    is_marked: bool = False
    is_open: bool = False
    frozen: bool = False
    managed_save: bool = False
    is_gone: bool = False
    definition: str = ""
    is_stray: bool = False
    absence: str = ""
    mark: str | None = None
    owner: Owner | None = None
    standing: Standing = Standing.NONE
    is_own_run: bool = True
    shared: str = ""

    @property
    def is_running(self) -> bool:
        """Whether there is a QEMU, paused included."""
        return self.power is not PowerState.OFF


@dataclass(frozen=True, slots=True)
class RestoreEvidence:
    """A restore that has no end: how far its journal came, and where its files are by now, in words.

    `is_turning_back` where it was on its way to the old state; `has_moved` where files may have been moved.
    """

    plan: RestorePlan
    stage: str
    places: tuple[str, ...]
    worker: int | None = None
    has_moved: bool = False
    is_turning_back: bool = False


@dataclass(frozen=True, slots=True)
class Leftover:
    """What was found on one guest, in words, with the way on and the commands that do the same by hand."""

    evidence: GuestEvidence | RestoreEvidence
    way: Way
    urgency: Urgency
    title: str
    explanation: str
    commands: tuple[str, ...] = ()

    @property
    def guest(self) -> str:
        """The guest's name, raw."""
        return self.evidence.plan.guest
