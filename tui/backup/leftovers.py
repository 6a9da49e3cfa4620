"""What was left behind on a guest, what it means and the one safe way on. Pure: evidence in, words and a way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from shlex import quote

from tui.backup.chain import Place
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.backup.restore.plan import RestorePlan, RestoreWay
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
    """Nothing of ours: merge, after the guest's name was typed; the overlay's file is kept."""
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


def leftover_of(evidence: GuestEvidence) -> Leftover | None:
    """What the evidence means; None where nothing was left behind."""
    if evidence.worker is not None:
        return _attach(evidence)
    if evidence.is_gone:
        return _gone(evidence)
    return _ours(evidence) if evidence.is_ours else _foreign(evidence)


def restore_leftover(evidence: RestoreEvidence) -> Leftover:
    """What a restore without an end means, and the way on."""
    plan = evidence.plan
    if evidence.worker is not None:
        return _attach(evidence)
    back = evidence.is_turning_back or plan.way in (RestoreWay.BOOT_TEST, RestoreWay.ATTACH)
    if evidence.has_moved and not back:
        return Leftover(
            evidence,
            Way.FINISH,
            Urgency.SOON if plan.way is RestoreWay.IN_PLACE else Urgency.WHENEVER,
            "A restore was left half done: on to the new state",
            f"Every copy of run {plan.run_id} is whole, and their names were being changed. It can be finished; the "
            f"former images are kept. Start {plan.guest} only afterwards.",
        )
    touched = "what it changed is put back" if evidence.has_moved else "nothing that was there was touched"
    return Leftover(
        evidence,
        Way.UNDO,
        Urgency.SOON if evidence.has_moved else Urgency.WHENEVER,
        "A restore was left half done: back to the old state",
        f"Run {plan.run_id} ended before its end; {touched}, and its unfinished copies are removed.",
    )


def _attach(evidence: GuestEvidence | RestoreEvidence) -> Leftover:
    what = "A restore" if isinstance(evidence, RestoreEvidence) else "A backup"
    return Leftover(
        evidence,
        Way.ATTACH,
        Urgency.WHENEVER,
        f"{what} is running",
        f"Run {evidence.plan.run_id} works on this guest in process {evidence.worker}; it ends by itself.",
    )


def _gone(evidence: GuestEvidence) -> Leftover | None:
    there = [each.disk for each in evidence.disks if each.overlay_exists]
    if not there:
        return None
    files = ", ".join(disk.overlay for disk in there)
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "The guest is gone, its overlays are not",
        f"{files} hold what the guest wrote since the snapshot, on top of its disks. Delete nothing. Merge them, or "
        "start the guest again from the definition that was saved before the backup, with these files as its disks.",
        tuple(f"qemu-img commit -d {quote(disk.overlay)}" for disk in there),
    )


def _ours(evidence: GuestEvidence) -> Leftover | None:
    running = evidence.power is not PowerState.OFF
    places = [each.place for each in evidence.disks]
    away = [each for each in evidence.disks if each.place is not Place.BASE or each.stored_place is Place.OVERLAY]
    elsewhere = [each.disk.target for each in evidence.disks if each.place is Place.ELSEWHERE]
    commands = _merge_commands(evidence.plan, [each.disk for each in away])
    frozen = " Its file systems are frozen: it stands still until it is thawed." if evidence.frozen else ""
    if elsewhere:
        return Leftover(
            evidence,
            Way.EXPLAIN,
            Urgency.NOW if evidence.frozen else Urgency.SOON,
            "A backup was left half done, and the definition was changed since",
            f"Disk {', '.join(elsewhere)} is neither on its base nor on the overlay of run {evidence.plan.run_id}. "
            f"Delete nothing; compare the definition with the overlay's chain (qemu-img info --backing-chain).{frozen}",
            _thaw_commands(evidence),
        )
    if away and not running and evidence.managed_save:
        return Leftover(
            evidence,
            Way.EXPLAIN,
            Urgency.SOON,
            "A backup was left half done, and the guest's memory is saved",
            "The saved memory fits the overlays alone. Start the guest, then rescue it again.",
            (f"virsh -c {quote(evidence.plan.uri)} start {quote(evidence.plan.guest)}",),
        )
    if away:
        return _on_overlay(evidence, away, running, places, commands, frozen)
    if evidence.frozen:
        return Leftover(
            evidence,
            Way.THAW,
            Urgency.NOW,
            "The guest is frozen",
            "A backup died while the file systems were frozen: every write in the guest waits. Its disks are its own.",
            _thaw_commands(evidence),
        )
    doubtful = [each.disk.overlay for each in evidence.disks if each.overlay_exists and not each.is_proven]
    if doubtful:
        return Leftover(
            evidence,
            Way.EXPLAIN,
            Urgency.SOON,
            "An overlay is not in use, and nothing proves that it was merged",
            f"{', '.join(doubtful)} may hold writes that the guest's disk lacks. If you merged it by hand, delete "
            "it. If the definition was put back onto the base meanwhile, stop the guest and compare both first.",
        )
    if evidence.is_marked or evidence.is_open or any(each.overlay_exists for each in evidence.disks):
        return Leftover(
            evidence,
            Way.TIDY,
            Urgency.WHENEVER,
            "A backup ended without tidying up",
            "The guest is on its own disks. What is proven to be merged is removed, the run is closed.",
        )
    return None


def _on_overlay(
    evidence: GuestEvidence,
    away: list[DiskEvidence],
    running: bool,
    places: list[Place],
    commands: tuple[str, ...],
    frozen: str,
) -> Leftover | None:
    names = ", ".join(each.disk.target for each in away)
    missing = [each.disk.overlay for each in away if each.place is not Place.BASE and not each.overlay_exists]
    if missing and running:
        title = "MERGE NOW, do not stop the guest"
        words = f"{', '.join(missing)} was deleted while the guest writes to it. It can be saved while QEMU runs."
        return Leftover(evidence, Way.MERGE, Urgency.NOW, title, words + frozen, commands)
    if missing:
        title = "The guest's overlay is missing"
        words = f"{', '.join(missing)} is gone, with what was written since the snapshot. Look for it; start nothing."
        return Leftover(evidence, Way.EXPLAIN, Urgency.NOW, title, words)
    stopped = evidence.power_reason == "disk I/O error"
    urgency = Urgency.NOW if evidence.frozen or stopped else Urgency.SOON
    if running and all(place in (Place.READY, Place.BASE) for place in places):
        words = f"Disk {names} is merged and waits for the pivot. Every write goes to both files until then."
        return Leftover(evidence, Way.PIVOT, urgency, "A backup died before its last step", words + frozen, commands)
    how = "" if running else " It is off: it is started with its processors stopped, merged, and put off again."
    room = " It is paused because there was no room for its writes." if stopped else ""
    words = (
        f"What the guest writes to {names} goes to an overlay, which grows; "
        f"nothing is lost as long as nobody deletes it.{how}{room}"
    )
    return Leftover(evidence, Way.MERGE, urgency, "A backup was left half done", words + frozen, commands)


def _foreign(evidence: GuestEvidence) -> Leftover | None:
    """Without marks of ours: only what a snapshot of libvirt leaves, alone on its base, beside it, and listed nowhere.

    Linked clones and guests of cloud images have the same chains; they lack the stored chain, or share the base.
    """
    left = tuple(each for each in evidence.disks if _is_abandoned(each))
    if not left or any(each.listed_by for each in evidence.disks):
        return None
    names = ", ".join(f"{each.disk.target} ({each.disk.overlay})" for each in left)
    return Leftover(
        evidence,
        Way.MERGE_CONFIRMED,
        Urgency.WHENEVER,
        "A snapshot without an owner",
        f"Disk {names} is on an overlay that no snapshot object lists, as a backup leaves it that stopped half way. "
        "If that is so, it can be merged into its base; if it is a clone of yours, leave it alone.",
        _merge_commands(evidence.plan, [each.disk for each in left]),
    )


def _is_abandoned(each: DiskEvidence) -> bool:
    overlay, base = Path(each.disk.overlay), Path(each.disk.base)
    return (
        each.place in (Place.OVERLAY, Place.READY)
        and each.overlay_exists
        and overlay.parent == base.parent
        and each.switched_by_libvirt
        and not each.listed_by
        and not each.base_users
    )


def _merge_commands(plan: BackupPlan, disks: list[PlannedDisk]) -> tuple[str, ...]:
    virsh, guest = f"virsh -c {quote(plan.uri)}", quote(plan.guest)
    return tuple(f"{virsh} blockcommit {guest} {d.target} --active --shallow --pivot --wait" for d in disks)


def _thaw_commands(evidence: GuestEvidence) -> tuple[str, ...]:
    if not evidence.frozen:
        return ()
    return (f"virsh -c {quote(evidence.plan.uri)} domfsthaw {quote(evidence.plan.guest)}",)
