"""Names and places that a restore proposes, and names that it refuses. Pure."""

from __future__ import annotations

from pathlib import Path

from tui.backup.folder import folder_name
from tui.backup.overlay_place import IMAGES
from tui.backup.restore.saved import SavedBackup, SavedDisk
from tui.backup.volatile import volatile_elsewhere

NAME_MAX = 255
"""Bytes of a file's name (limits.h)."""
_DEFINITION_ENDING = ".xml.new"
"""What libvirt adds to a guest's name for the file of its definition, while it writes that."""


def unfit_name(name: str) -> str:
    """Why no guest may be defined by that name, empty where one may.

    libvirt makes file names of it, and takes `.` and `..`: with such a guest it forgets the snapshots of all guests and
    removes definitions of others (qemuDomainRemoveInactive deletes SNAPSHOT_FOLDER/NAME with all that is below).
    """
    if name in (".", "..") or not name.strip():
        return "a guest cannot be called that: it would be the name of a folder of libvirt's"
    if "/" in name:
        return "a guest's name cannot hold a slash"
    if not name.isprintable():
        return "a guest's name cannot hold control characters, or bytes that are no UTF-8"
    if len(name.encode()) > NAME_MAX - len(_DEFINITION_ENDING):
        return "the name is too long: libvirt names a file after it"
    return ""


def free_name(wanted: str, taken: frozenset[str]) -> str:
    """`wanted`, or the first of `wanted-2`, `wanted-3` … that no guest has."""
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def images_of(saved: SavedBackup) -> str:
    """Where the guest's images were, or libvirt's folder for them where none of its disks was a file."""
    folders = (str(Path(disk.original).parent) for disk in saved.disks if not disk.was_on_device)
    # A backup of before may call a volume of a pool of devices a file.
    return next((folder for folder in folders if not volatile_elsewhere(folder)), IMAGES)


def image_name(saved: SavedBackup, disk: SavedDisk) -> str:
    """What a disk's image is called by itself: the guest's name, the disk's target, and when it was saved."""
    return f"{folder_name(saved.guest)}-{disk.target}-{saved.stamp}.{disk.format}"


def name_among_images(saved: SavedBackup, disk: SavedDisk, run_id: str) -> str:
    """What it is called among the images of a guest, where every restore has a name of its own."""
    return f"{folder_name(saved.guest)}-{disk.target}-restore-{run_id}.{disk.format}"
