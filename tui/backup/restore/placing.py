"""Where each file of a restore goes, whose it becomes, and what is moved aside for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.image_names import identity_here
from tui.backup.nvram import NVRAM_FILE
from tui.backup.overlay_place import IMAGES
from tui.backup.plan import DiskKind, ImageFormat
from tui.backup.restore.firmware import nvram_file
from tui.backup.restore.naming import image_name, name_among_images
from tui.backup.restore.plan import RestoredFile, aside_of, partial_of
from tui.backup.restore.saved import SavedBackup, SavedDisk
from tui.backup.restore.wishes import Wishes
from tui.model.disk import Disk
from tui.model.guest import DomainFacts


def chosen_of(saved: SavedBackup, wishes: Wishes) -> SavedBackup:
    """The backup as if it held the chosen disks alone, all of them where none is named; raises BackupError."""
    return replace(saved, disks=_the_disks(saved, wishes)) if wishes.disks else saved


def clone_files(saved: SavedBackup, run_id: str, folder: str) -> tuple[RestoredFile, ...]:
    """All in the folder of the clone, with the UEFI variables if there are any."""
    disks = tuple(_restored(disk, run_id, f"{folder}/{disk.target}.{disk.format}", disk.format) for disk in saved.disks)
    if saved.nvram is None:
        return disks
    return (*disks, nvram_file(saved, saved.nvram, run_id, f"{folder}/{Path(NVRAM_FILE).name}"))


def original_files(saved: SavedBackup, run_id: str, as_files: Mapping[str, str]) -> tuple[RestoredFile, ...]:
    """Each where it was, and what is there aside; `as_files` lie elsewhere, and what they replace stays as it is."""
    disks = tuple(
        moved_aside(_in_place(disk, run_id, disk.spelled, disk.original_format), run_id)
        if disk.target not in as_files
        else _as_file(disk, run_id, as_files[disk.target])
        for disk in saved.disks
    )
    if saved.nvram is None:
        return disks
    return (*disks, moved_aside(nvram_file(saved, saved.nvram, run_id, saved.nvram.path), run_id))


def present_files(
    saved: SavedBackup, present: Mapping[str, Disk], run_id: str, as_files: Mapping[str, str]
) -> tuple[RestoredFile, ...]:
    """Each where the guest has the disk by now and in that format; `present` names images by their paths."""
    return tuple(
        _as_file(disk, run_id, as_files[disk.target])
        if disk.target in as_files
        else _in_the_place_of(present[disk.target], disk, run_id)
        for disk in saved.disks
    )


def _in_the_place_of(there: Disk, disk: SavedDisk, run_id: str) -> RestoredFile:
    # What was saved may have been on a device: what counts is what the guest has now.
    disk = replace(disk, kind=DiskKind(there.source_type), is_device=False)
    return moved_aside(_in_place(disk, run_id, there.source, ImageFormat(there.format)), run_id)


def _in_place(disk: SavedDisk, run_id: str, path: str, to_format: ImageFormat) -> RestoredFile:
    return replace(_restored(disk, run_id, path, to_format), is_device=disk.was_on_device)


def _as_file(disk: SavedDisk, run_id: str, path: str) -> RestoredFile:
    return _restored(replace(disk, kind=DiskKind.FILE), run_id, os.path.normpath(path), disk.format)


def moved_aside(file: RestoredFile, run_id: str) -> RestoredFile:
    """The file where its place really is, links followed, with a name for what is there now, if anything is.

    So what a link points at is replaced, and the link stays. Blocks for a look.
    """
    image = identity_here(file.to)
    placed = replace(
        file,
        to=image.path,
        partial=partial_of(image.path, run_id),
        named=file.to if file.to != image.path else "",
        is_device=file.is_device or image.is_device,
    )
    return replace(placed, aside=aside_of(placed.to, run_id)) if os.path.lexists(placed.to) else placed


def _restored(
    disk: SavedDisk,
    run_id: str,
    to: str,
    to_format: ImageFormat,
    *,
    owner: int | None = None,
    group: int | None = None,
    mode: int | None = None,
) -> RestoredFile:
    return RestoredFile(
        name=disk.target,
        file=disk.file,
        sha256=disk.sha256,
        to=to,
        partial=partial_of(to, run_id),
        data_bytes=disk.data_bytes,
        format=disk.format,
        to_format=to_format,
        kind=disk.kind,
        owner=disk.owner if owner is None else owner,
        group=disk.group if group is None else group,
        mode=disk.mode if mode is None else mode,
    )


def _the_disks(saved: SavedBackup, wishes: Wishes) -> tuple[SavedDisk, ...]:
    if not wishes.disks and len(saved.disks) == 1:
        return saved.disks
    there = {disk.target: disk for disk in saved.disks}
    unknown = [target for target in wishes.disks if target not in there]
    if unknown or not wishes.disks:
        asked = f"the backup has no disk {', '.join(unknown)}" if unknown else "no disk was named"
        raise BackupError(
            "It is not clear which disks to restore", cause=asked, next_step=f"Name some of: {', '.join(there)}"
        )
    return tuple(there[target] for target in dict.fromkeys(wishes.disks))


def own_files(saved: SavedBackup, wishes: Wishes, run_id: str) -> tuple[RestoredFile, ...]:
    """Images for whoever restores, and for nobody else."""
    disks, to = _the_disks(saved, wishes), wishes.to or str(Path.cwd())
    if len(disks) > 1 and not Path(to).is_dir():
        raise BackupError(
            f"There is no folder {to}",
            cause="several disks go to a folder",
            next_step="Make it first, or name another.",
        )
    user, group = os.geteuid(), os.getegid()
    return tuple(
        _restored(disk, run_id, image_path(saved, disk, to), disk.format, owner=user, group=group, mode=0o600)
        for disk in disks
    )


def image_path(saved: SavedBackup, disk: SavedDisk, to: str) -> str:
    """Where the image of a disk goes that is restored to `to`, a path or a folder; raises BackupError."""
    path = Path(to).absolute()
    if to.endswith("/") and not path.is_dir():
        raise BackupError(f"There is no folder {path}", next_step="Make it first, or name a file: no / at the end.")
    return str(path / image_name(saved, disk)) if path.is_dir() else os.path.normpath(path)


def attached_files(
    saved: SavedBackup, other: DomainFacts, wishes: Wishes, run_id: str, targets: tuple[str, ...]
) -> tuple[RestoredFile, ...]:
    """Beside the other guest's own image and of the same owner, so that its QEMU may read them."""
    disks = _the_disks(saved, wishes)
    if len(disks) > len(targets):
        raise BackupError(
            f"{other.name} has no room for {len(disks)} more disks", cause=f"of vda to vdz, {len(targets)} are free"
        )
    image = next((d.source for d in other.disks if d.source_type == "file" and d.device == "disk" and d.source), "")
    folder = wishes.to or (str(Path(image).parent) if image else IMAGES)
    try:
        status = Path(image).stat()
        owner: tuple[int, int] | None = (status.st_uid, status.st_gid)
    except OSError:
        owner = None
    files: list[RestoredFile] = []
    for disk, target in zip(disks, targets, strict=False):
        to = str(Path(folder) / name_among_images(saved, disk, run_id))
        user, group = owner or (disk.owner, disk.group)
        file = _restored(disk, run_id, to, disk.format, owner=user, group=group, mode=0o600)
        files.append(replace(file, attach_as=target))
    return tuple(files)
