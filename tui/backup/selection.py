"""Which disks of a guest a backup takes, and why it leaves the others."""

from __future__ import annotations

from dataclasses import dataclass

from tui.backup.plan import DiskKind, ImageFormat, is_overlay_name
from tui.model.disk import Disk

REMOVABLE = ("cdrom", "floppy")
"""Drives whose media are not part of the guest."""


@dataclass(frozen=True, slots=True)
class DiskChoice:
    """A disk and, where it cannot be backed up, why; `worth_a_warning` where it may hold data."""

    disk: Disk
    reason: str = ""
    worth_a_warning: bool = True

    @property
    def possible(self) -> bool:
        """Whether the disk can be backed up."""
        return not self.reason


def choices_of(disks: tuple[Disk, ...]) -> tuple[DiskChoice, ...]:
    """What can be done with each disk, in the order of the definition."""
    return tuple(_choice(disk) for disk in disks)


def _choice(disk: Disk) -> DiskChoice:
    if disk.device in REMOVABLE:
        return DiskChoice(disk, f"a {disk.device} drive", worth_a_warning=False)
    if not disk.source:
        return DiskChoice(disk, "no medium in it", worth_a_warning=False)
    reasons = (
        (disk.device == "lun", "a LUN passed through has no snapshots"),
        (disk.readonly, "read-only: copy it once by hand"),
        (disk.shareable, "shared with other guests, who may write to it"),
        (disk.transient, "transient: the guest itself throws its changes away"),
        (disk.bus == "sd", "its bus knows no block jobs"),
        (disk.encrypted, "encrypted images are not supported yet"),
        (disk.source_type not in list(DiskKind), f"a disk of type {disk.source_type} is not supported yet"),
        (disk.format not in list(ImageFormat), f"images of format {disk.format or 'unknown'} are not supported"),
        (is_overlay_name(disk.source), "it is on the overlay of a backup, and has to be brought back first"),
    )
    return DiskChoice(disk, next((reason for holds, reason in reasons if holds), ""))
