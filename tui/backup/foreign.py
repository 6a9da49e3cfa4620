"""What is left behind that no mark and no journal of ours tells of: chains of other tools, overlays by their names.

Pure: evidence in, words and a way out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tui.backup import by_hand
from tui.backup.chain import Place
from tui.backup.leftovers import DiskEvidence, GuestEvidence, Leftover, Urgency, Way

_ON_OVERLAY = frozenset({Place.OVERLAY, Place.MERGING, Place.READY})
_STRAY = "An overlay that no guest names"


def foreign(evidence: GuestEvidence) -> Leftover | None:
    """What other tools left: only what a snapshot of libvirt leaves, alone on its base, beside it, and listed nowhere.

    Linked clones and guests of cloud images have the same chains; they lack the stored chain, or share the base. Where
    an image was deleted under a guest that runs, all that matters is that it is saved before the guest stops.
    """
    deleted = [each for each in evidence.disks if not each.overlay_exists and each.place in _ON_OVERLAY]
    if deleted and evidence.is_running:
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
    return Leftover(alone, Way.MERGE_CONFIRMED, urgency, title, explanation, merge_commands(alone, disks))


def stray(evidence: GuestEvidence) -> Leftover:
    """An overlay by its name alone: whose it was is not known, and what it lies on may have been written since."""
    (each,) = evidence.disks
    base = each.disk.base or "an image that cannot be read"
    owner = f"a disk of {evidence.plan.guest}" if evidence.plan.uuid else "named by no guest"
    look = (f"qemu-img info --backing-chain -f qcow2 {quote(each.disk.overlay)}",)
    if evidence.shared:
        words = (
            f"It is on a file system that other hosts may use ({evidence.shared}), and what their guests have open is "
            "not seen from here. Ask for it on each of them (qga-tui rescue); delete nothing before."
        )
        return Leftover(evidence, Way.EXPLAIN, Urgency.WHENEVER, _STRAY, f"{_lies(each, base, owner)} {words}", look)
    if each.is_proven:
        words = "It holds nothing of its own, and no program of this host has it open: you may delete it."
        return Leftover(evidence, Way.EXPLAIN, Urgency.WHENEVER, _STRAY, f"{_lies(each, base, owner)} {words}", look)
    words = (
        "It may hold what a guest wrote during a backup. Nothing here merges or deletes it: if its base was written "
        "since, a merge would destroy that. Look at both while no guest uses them, then decide."
    )
    return Leftover(evidence, Way.EXPLAIN, Urgency.SOON, _STRAY, f"{_lies(each, base, owner)} {words}", look)


def _lies(each: DiskEvidence, base: str, owner: str) -> str:
    what = f"{each.disk.overlay} is called like a backup's overlay, and no guest of this host names it."
    return f"{what} It lies on {base}, {owner}."


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


def merge_commands(evidence: GuestEvidence, disks: Iterable[DiskEvidence]) -> tuple[str, ...]:
    """What to type to merge these disks, as the guest is now."""
    plan = evidence.plan
    if evidence.is_running:
        return tuple(by_hand.merge_running(plan, each.disk) for each in disks)
    return by_hand.merge_off(plan, [each.disk for each in disks if each.stored_place is not Place.BASE])
