"""Which disks of a guest a backup takes, and why it leaves the others."""

from __future__ import annotations

from dataclasses import dataclass

from tui.backup.plan import TARGET, DiskKind, ImageFormat, is_overlay_name
from tui.model.disk import Disk, DiskTrait

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


def choices_of(disks: tuple[Disk, ...], *, is_off: bool = False) -> tuple[DiskChoice, ...]:
    """What can be done with each disk, in the order of the definition.

    Only a drive without `<source>` is empty: whatever else cannot be saved is worth a warning, kinds of disks that are
    not known here among them. `is_off` where the guest is, whose disks are copied without a block job.
    """
    return tuple(_choice(disk, is_off=is_off) for disk in disks)


def _choice(disk: Disk, *, is_off: bool) -> DiskChoice:
    if disk.is_empty:
        return DiskChoice(disk, "no medium in it", worth_a_warning=False)
    if disk.device in REMOVABLE:
        holds_data = disk.device == "floppy" and not disk.readonly
        words = "a floppy that the guest may write to" if holds_data else f"a {disk.device} drive"
        return DiskChoice(disk, words, worth_a_warning=holds_data)
    reasons = (
        (TARGET.fullmatch(disk.target) is None, "its target is not called as a disk of QEMU is"),
        (disk.device != "disk" and disk.device != "lun", f"a device of the kind {disk.device} is not supported yet"),
        (disk.device == "lun", "a LUN passed through has no snapshots"),
        (disk.readonly, "read-only: copy it once by hand"),
        (disk.shareable, "shared with other guests, who may write to it"),
        (disk.transient, "transient: the guest itself throws its changes away"),
        (disk.bus == "sd", "its bus knows no block jobs"),
        (disk.encrypted, "encrypted images are not supported yet"),
        (disk.source_type not in list(DiskKind), f"a disk of type {disk.source_type} is not supported yet"),
        (not disk.source, "its source has no name that is known here"),
        (DiskTrait.SLICE in disk.traits, "a slice of a file is not supported yet"),
        (DiskTrait.DATA_FILE in disk.traits, "its data is in another file, which is not supported yet"),
        (DiskTrait.NETWORK_BELOW in disk.traits, "it lies on an image on the network, which is not supported yet"),
        (DiskTrait.OVER_NETWORK in disk.traits, "QEMU reaches the volume over the network, not supported yet"),
        (
            not is_off and DiskTrait.THROTTLED in disk.traits,
            "libvirt knows no block jobs on disks with throttle filters",
        ),
        (disk.format not in list(ImageFormat), f"images of format {disk.format or 'unknown'} are not supported"),
        (is_overlay_name(disk.source), "it is on the overlay of a backup, and has to be brought back first"),
    )
    return DiskChoice(disk, next((reason for holds, reason in reasons if holds), ""))
