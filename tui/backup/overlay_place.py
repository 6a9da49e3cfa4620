"""Where a disk's overlay goes: beside its image, in the folder that was chosen, or in the roomiest that keeps it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tui.backup.errors import BackupError
from tui.backup.image_names import plain
from tui.backup.plan import PlannedDisk, overlay_beside
from tui.backup.reach import FileSystem
from tui.backup.reach_files import file_system
from tui.backup.volatile import volatile_elsewhere, volatile_here
from tui.hosts.lanes import apart
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.storage import PoolFolder
from tui.model.guest import DomainFacts

IMAGES = "/var/lib/libvirt/images"
_LOOK = "qga-tui-look"
NAME_ONE = "Name a folder on a disk: --overlays FOLDER, or overlays_folder in the settings."


async def with_overlays(
    host: Host, facts: DomainFacts, disks: Sequence[PlannedDisk], stamp: str, chosen: str, *, is_here: bool
) -> tuple[PlannedDisk, ...]:
    """The disks with the places of their overlays; `chosen` is the folder that the user named, empty without one.

    `facts` tell where the guest's other images lie, which may be as good a place. Raises BackupError where the named
    folder keeps nothing, and HostUnreachableError.
    """
    volatile = volatile_here if is_here else volatile_elsewhere
    if chosen:
        why = await apart(volatile, chosen)
        if why:
            raise BackupError(
                f"The overlays cannot lie in {chosen}",
                cause=f"it is in the host's memory ({why}): a power cut would take what the guest wrote meanwhile",
                next_step=NAME_ONE,
            )
        return tuple(_with_overlay(disk, stamp, chosen) for disk in disks)
    apart_from_base = [
        disk.is_device or bool(await apart(volatile, os.path.dirname(disk.base)))  # noqa: PTH120 - a plain string
        for disk in disks
    ]
    if not any(apart_from_base):
        return tuple(_with_overlay(disk, stamp, "") for disk in disks)
    own = [_folder(disk) for disk, is_apart in zip(disks, apart_from_base, strict=True) if not is_apart]
    own += [each for each in _image_folders(facts) if not is_here or not await apart(volatile, each)]
    folder = await roomiest(host, own, is_here=is_here)
    return tuple(
        _with_overlay(disk, stamp, folder if is_apart else "")
        for disk, is_apart in zip(disks, apart_from_base, strict=True)
    )


def _image_folders(facts: DomainFacts) -> list[str]:
    """Where the guest has images that it writes to, by their names."""
    return [
        os.path.dirname(plain(disk.source))  # noqa: PTH120 - a plain string, maybe of another machine
        for disk in facts.disks
        if disk.source_type == "file" and disk.device == "disk" and not disk.readonly and disk.source.startswith("/")
    ]


def _folder(disk: PlannedDisk) -> str:
    return os.path.dirname(disk.base)  # noqa: PTH120 - a plain string, maybe of another machine


def _with_overlay(disk: PlannedDisk, stamp: str, folder: str) -> PlannedDisk:
    is_apart = bool(folder) and folder != _folder(disk)
    overlay = overlay_beside(disk.base, stamp, disk.target, folder)
    return replace(disk, overlay=overlay, overlay_apart=is_apart)


async def roomiest(host: Host, own: Sequence[str], *, is_here: bool) -> str:
    """The folder with most room of those that keep images: `own` ones, those of pools, libvirt's own.

    None of them is in memory; those that this user may write into go first. libvirt's own where there is none at all.
    Raises HostUnreachableError.
    """
    pools = await _pools(host)
    if not is_here:
        known = {pool.path: pool.free_bytes for pool in pools if not volatile_elsewhere(pool.path)}
        mine = [folder for folder in own if folder in known]
        return max((*mine, *known), key=lambda folder: known[folder], default=next(iter(own), IMAGES))
    return await apart(_roomiest_here, tuple(own), tuple(pool.path for pool in pools), host.uri)


async def _pools(host: Host) -> tuple[PoolFolder, ...]:
    try:
        return await host.storage(_LOOK).folders()
    except HostUnreachableError:
        raise
    except HostError:
        return ()


def _roomiest_here(own: Sequence[str], pools: Sequence[str], uri: str) -> str:
    everyones = (IMAGES,) if _is_of_system(uri) else ()
    others = [folder for folder in (*pools, *everyones) if _is_passable(folder, uri)]
    there = dict[int, tuple[FileSystem, str]]()
    for place, folder in _seen((*own, *others)):
        # Of folders on one file system the first is taken: labels and rights fit best among the guest's own images.
        kept = there.get(place.device)
        if kept is None or place.writable > kept[0].writable:
            there[place.device] = (place, folder)
    best = max(there.values(), key=lambda each: (each[0].writable, each[0].free_bytes), default=None)
    return best[1] if best is not None else IMAGES


def _seen(folders: Iterable[str]) -> Iterator[tuple[FileSystem, str]]:
    for folder in dict.fromkeys(folders):
        place = file_system(folder)
        if place is not None and not place.volatile:
            yield place, folder


def _is_of_system(uri: str) -> bool:
    return urlsplit(uri).path.endswith("/system")


def _is_passable(folder: str, uri: str) -> bool:
    """Whether the QEMU of a system's libvirtd, which runs as a user of its own, can get into a folder."""
    if not _is_of_system(uri):
        return True
    try:
        real = Path(folder).resolve(strict=True)
        return all(each.stat().st_mode & 0o001 for each in (real, *real.parents))
    except (OSError, RuntimeError):
        return False
