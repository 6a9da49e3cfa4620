"""The set of a guest's disks: whether it is that of the checks still, and which disks a snapshot took with it unasked.

libvirt puts a disk that a snapshot's XML does not name on an overlay of a name that it makes up. One that is attached
between the last look at the definition and the snapshot meets that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.model.disk import Disk

Disks = Mapping[str, Disk]
"""A definition's disks by target."""

_HOLD_DATA = frozenset({"disk", "lun"})


class GuestChangedError(BackupError):
    """The guest's disks are not those that were looked at; nothing was switched."""


def changes(before: Disks, now: Disks) -> tuple[str, ...]:
    """In words, how the disks differ from those `before`; drives whose media change hold nothing that is saved."""
    told: list[str] = []
    for target in sorted(before.keys() | now.keys()):
        was, there = before.get(target), now.get(target)
        if not any(disk is not None and disk.device in _HOLD_DATA for disk in (was, there)):
            continue
        if was is None:
            told.append(f"{target} was attached")
        elif there is None:
            told.append(f"{target} was detached")
        elif (was.source, was.source_type, was.backing) != (there.source, there.source_type, there.backing):
            told.append(f"{target} is on {there.source or 'no image'}, not on {was.source or 'none'}")
        elif there.mirror_job:
            told.append(f"a block job runs on {target}")
    return tuple(told)


def refuse_changed(before: Disks, now: Disks) -> None:
    """Raise GuestChangedError where the disks are not those of the checks."""
    told = changes(before, now)
    if told:
        raise GuestChangedError(
            "The guest's disks were changed since the checks",
            cause="; ".join(told),
            next_step="Nothing was done to the guest. Start the backup again: it takes the disks as they are now.",
        )


def others_of(plan: BackupPlan, now: Disks) -> tuple[str, ...]:
    """The targets that a snapshot has to leave alone, from the definition as it is now."""
    planned = {disk.target for disk in plan.disks}
    return tuple(target for target in now if target and target not in planned)


def snapshot_name(plan: BackupPlan) -> str:
    """What the run calls its snapshot in libvirt."""
    return f"qgatui-{plan.stamp}-{plan.run_id}"


def generated_overlay(base: str, plan: BackupPlan) -> str:
    """The overlay that libvirt makes up for a disk which the run's snapshot does not name.

    The last suffix gives way to the snapshot's name (virDomainSnapshotDefAssignExternalNames of libvirt).
    """
    folder, slash, name = base.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot else name}.{snapshot_name(plan)}"


def is_generated_overlay(disk: PlannedDisk, plan: BackupPlan) -> bool:
    """Whether a disk's overlay is the one that libvirt made up for the run's snapshot."""
    return disk.overlay == generated_overlay(disk.base, plan)


def unasked(plan: BackupPlan, disks: Iterable[Disk]) -> tuple[PlannedDisk, ...]:
    """The disks beside the plan's that the run's snapshot put on overlays."""
    planned = {disk.target for disk in plan.disks}
    return tuple(
        PlannedDisk(
            disk.target,
            disk.backing[0],
            ImageFormat.RAW if disk.base_format == ImageFormat.RAW else ImageFormat.QCOW2,
            disk.source,
        )
        for disk in disks
        if disk.target not in planned
        and disk.source_type == "file"
        and disk.backing
        and Path(disk.source).name.endswith(f".{snapshot_name(plan)}")
    )


def with_unasked(plan: BackupPlan, disks: Iterable[Disk]) -> BackupPlan:
    """The plan with the disks that its snapshot took with it, so that they are merged as its own are."""
    more = unasked(plan, disks)
    return replace(plan, disks=(*plan.disks, *more)) if more else plan


def unasked_words(disk: PlannedDisk) -> str:
    """What to tell of such a disk."""
    return (
        f"{disk.target} was attached at the moment of the snapshot, which put it on {disk.overlay}: it is merged back "
        "with the others, and is not in this backup"
    )
