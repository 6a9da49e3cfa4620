"""What a leftover means, and the one safe way on. Pure: evidence in, words and a way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tui.backup import by_hand
from tui.backup.chain import Place
from tui.backup.leftovers import DiskEvidence, GuestEvidence, Leftover, RestoreEvidence, Urgency, Way
from tui.backup.restore.plan import RestoreWay
from tui.model.guest import PowerState

_ON_OVERLAY = frozenset({Place.OVERLAY, Place.MERGING, Place.READY})
_STRAY = "An overlay that no guest names"


def leftover_of(evidence: GuestEvidence) -> Leftover | None:
    """What the evidence means; None where nothing was left behind."""
    if evidence.worker is not None:
        return _attach(evidence)
    if evidence.is_stray:
        return _stray(evidence)
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
    start = "start the guest again from the definition that was saved before the backup"
    if evidence.definition:
        start = f"start the guest again from its definition, which was kept in {evidence.definition}"
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "The guest is gone, its overlays are not",
        f"{files} hold what the guest wrote since the snapshot, on top of its disks. Delete nothing. Merge them, then "
        f"{start}. Rescue it afterwards: what is left of the backup is tidied up.",
        (*(by_hand.merge_file(disk) for disk in there), *by_hand.create(evidence.plan, evidence.definition)),
    )


def _ours(evidence: GuestEvidence) -> Leftover | None:
    """The first meaning that applies, the gravest first."""
    meanings = (
        _changed_since,
        _memory_saved,
        _overlay_deleted,
        _ready_to_pivot,
        _half_merged,
        _frozen,
        _doubtful,
        _untidy,
    )
    return next((found for meaning in meanings if (found := meaning(evidence)) is not None), None)


def _changed_since(evidence: GuestEvidence) -> Leftover | None:
    elsewhere = [each.disk.target for each in evidence.disks if each.place is Place.ELSEWHERE]
    if not elsewhere:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.NOW if evidence.frozen else Urgency.SOON,
        "A backup was left half done, and the definition was changed since",
        f"Disk {', '.join(elsewhere)} is neither on its base nor on the overlay of run {evidence.plan.run_id}. "
        "Delete nothing; compare the definition with the overlay's chain (qemu-img info --backing-chain)."
        f"{_frozen_too(evidence)}",
        _thaw_commands(evidence),
    )


def _memory_saved(evidence: GuestEvidence) -> Leftover | None:
    if not _away(evidence) or _is_running(evidence) or not evidence.managed_save:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "A backup was left half done, and the guest's memory is saved",
        "The saved memory fits the overlays alone. Start the guest, then rescue it again.",
        (by_hand.virsh(evidence.plan, "start"),),
    )


def _overlay_deleted(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    missing = [each.disk.overlay for each in away if each.place is not Place.BASE and not each.overlay_exists]
    if not missing:
        return None
    if _is_running(evidence):
        title = "MERGE NOW, do not stop the guest"
        words = f"{', '.join(missing)} was deleted while the guest writes to it. It can be saved while QEMU runs."
        words += _frozen_too(evidence)
        return Leftover(evidence, Way.MERGE, Urgency.NOW, title, words, _merge_commands(evidence, away))
    title = "The guest's overlay is missing"
    words = f"{', '.join(missing)} is gone, with what was written since the snapshot. Look for it; start nothing."
    return Leftover(evidence, Way.EXPLAIN, Urgency.NOW, title, words)


def _ready_to_pivot(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    ready = all(each.place in (Place.READY, Place.BASE) for each in evidence.disks)
    if not away or not ready or not _is_running(evidence):
        return None
    return Leftover(
        evidence,
        Way.PIVOT,
        _urgency(evidence),
        "A backup died before its last step",
        f"Disk {_names(away)} is merged and waits for the pivot. Every write goes to both files until then."
        f"{_frozen_too(evidence)}",
        _merge_commands(evidence, away),
    )


def _half_merged(evidence: GuestEvidence) -> Leftover | None:
    away = _away(evidence)
    if not away:
        return None
    off = (
        " It is off: it is started with its processors stopped, merged, and put off again; where it cannot be started, "
        "qemu-img merges its images."
    )
    full = " It is paused because there was no room for its writes."
    return Leftover(
        evidence,
        Way.MERGE,
        _urgency(evidence),
        "A backup was left half done",
        f"What the guest writes to {_names(away)} goes to an overlay, which grows; nothing is lost as long as nobody "
        f"deletes it.{'' if _is_running(evidence) else off}{full if _is_out_of_room(evidence) else ''}"
        f"{_frozen_too(evidence)}",
        _merge_commands(evidence, away),
    )


def _frozen(evidence: GuestEvidence) -> Leftover | None:
    if not evidence.frozen:
        return None
    return Leftover(
        evidence,
        Way.THAW,
        Urgency.NOW,
        "The guest is frozen",
        "A backup died while the file systems were frozen: every write in the guest waits. Its disks are its own.",
        _thaw_commands(evidence),
    )


def _doubtful(evidence: GuestEvidence) -> Leftover | None:
    doubtful = [each.disk.overlay for each in evidence.disks if each.overlay_exists and not each.is_proven]
    if not doubtful:
        return None
    return Leftover(
        evidence,
        Way.EXPLAIN,
        Urgency.SOON,
        "An overlay is not in use, and nothing proves that it was merged",
        f"{', '.join(doubtful)} may hold writes that the guest's disk lacks. If you merged it by hand, delete "
        "it. If the definition was put back onto the base meanwhile, stop the guest and compare both first.",
    )


def _untidy(evidence: GuestEvidence) -> Leftover | None:
    if not (evidence.is_marked or evidence.is_open or any(each.overlay_exists for each in evidence.disks)):
        return None
    return Leftover(
        evidence,
        Way.TIDY,
        Urgency.WHENEVER,
        "A backup ended without tidying up",
        "The guest is on its own disks. What is proven to be merged is removed, the run is closed.",
    )


def _foreign(evidence: GuestEvidence) -> Leftover | None:
    """Without marks of ours: only what a snapshot of libvirt leaves, alone on its base, beside it, and listed nowhere.

    Linked clones and guests of cloud images have the same chains; they lack the stored chain, or share the base. Where
    an image was deleted under a guest that runs, all that matters is that it is saved before the guest stops.
    """
    deleted = [each for each in evidence.disks if not each.overlay_exists and each.place in _ON_OVERLAY]
    if deleted and _is_running(evidence):
        return _foreign_deleted(evidence, deleted)
    left = [each for each in evidence.disks if _is_abandoned(each)]
    if not left or any(each.listed_by for each in evidence.disks):
        return None
    names = ", ".join(f"{each.disk.target} ({each.disk.overlay})" for each in left)
    return _of_disks(
        evidence,
        left,
        Urgency.WHENEVER,
        "A snapshot without an owner",
        f"Disk {names} is on an overlay that no snapshot object lists, as a backup leaves it that stopped half way. "
        "If that is so, it can be merged into its base; if it is a clone of yours, leave it alone.",
    )


def _foreign_deleted(evidence: GuestEvidence, deleted: list[DiskEvidence]) -> Leftover:
    """Merging is offered where a snapshot switched the disk; the base of a clone may be the base of others."""
    clones = [each for each in deleted if each.base_users or not each.switched_by_libvirt]
    names = ", ".join(f"{each.disk.target} ({each.disk.overlay})" for each in deleted)
    lost = f"The image of disk {names} was deleted while the guest writes to it. It can be saved while QEMU runs."
    if clones:
        return Leftover(
            evidence,
            Way.EXPLAIN,
            Urgency.NOW,
            "COPY NOW, do not stop the guest",
            f"{lost} It seems to be a clone, and what it lies on is not its own: copy it to a new file, while it runs.",
            tuple(by_hand.copy_running(evidence.plan, each.disk) for each in deleted),
        )
    bases = ", ".join(each.disk.base for each in deleted)
    return _of_disks(
        evidence,
        deleted,
        Urgency.NOW,
        "MERGE NOW, do not stop the guest",
        f"{lost} It is merged into {bases}; if that is the base of a clone of yours, copy it to a new file instead: "
        f"{'; '.join(by_hand.copy_running(evidence.plan, each.disk) for each in deleted)}",
    )


def _of_disks(
    evidence: GuestEvidence, disks: list[DiskEvidence], urgency: Urgency, title: str, explanation: str
) -> Leftover:
    """A merge, once confirmed, of these disks: no other of the guest is touched."""
    plan = replace(evidence.plan, disks=tuple(each.disk for each in disks))
    alone = replace(evidence, plan=plan, disks=tuple(disks))
    return Leftover(alone, Way.MERGE_CONFIRMED, urgency, title, explanation, _merge_commands(alone, disks))


def _stray(evidence: GuestEvidence) -> Leftover:
    """An overlay by its name alone: whose it was is not known, and what it lies on may have been written since."""
    (each,) = evidence.disks
    base = each.disk.base or "an image that cannot be read"
    owner = f"a disk of {evidence.plan.guest}" if evidence.plan.uuid else "named by no guest"
    look = (f"qemu-img info --backing-chain -f qcow2 {quote(each.disk.overlay)}",)
    if each.is_proven:
        words = "It holds nothing of its own: you may delete it."
        return Leftover(evidence, Way.EXPLAIN, Urgency.WHENEVER, _STRAY, f"{_lies(each, base, owner)} {words}", look)
    words = (
        "It may hold what a guest wrote during a backup. Nothing here merges or deletes it: if its base was written "
        "since, a merge would destroy that. Look at both while no guest uses them, then decide."
    )
    return Leftover(evidence, Way.EXPLAIN, Urgency.SOON, _STRAY, f"{_lies(each, base, owner)} {words}", look)


def _lies(each: DiskEvidence, base: str, owner: str) -> str:
    return f"{each.disk.overlay} is called like a backup's overlay, and no guest names it. It lies on {base}, {owner}."


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


def _away(evidence: GuestEvidence) -> list[DiskEvidence]:
    """The disks that are not wholly on their bases."""
    return [each for each in evidence.disks if each.place is not Place.BASE or each.stored_place is Place.OVERLAY]


def _names(disks: list[DiskEvidence]) -> str:
    return ", ".join(each.disk.target for each in disks)


def _is_running(evidence: GuestEvidence) -> bool:
    return evidence.power is not PowerState.OFF


def _is_out_of_room(evidence: GuestEvidence) -> bool:
    return evidence.power_reason == "disk I/O error"


def _urgency(evidence: GuestEvidence) -> Urgency:
    return Urgency.NOW if evidence.frozen or _is_out_of_room(evidence) else Urgency.SOON


def _frozen_too(evidence: GuestEvidence) -> str:
    return " Its file systems are frozen: it stands still until it is thawed." if evidence.frozen else ""


def _merge_commands(evidence: GuestEvidence, disks: Iterable[DiskEvidence]) -> tuple[str, ...]:
    plan = evidence.plan
    if _is_running(evidence):
        return tuple(by_hand.merge_running(plan, each.disk) for each in disks)
    return by_hand.merge_off(plan, [each.disk for each in disks if each.stored_place is not Place.BASE])


def _thaw_commands(evidence: GuestEvidence) -> tuple[str, ...]:
    if not evidence.frozen:
        return ()
    return (by_hand.virsh(evidence.plan, "domfsthaw"),)
