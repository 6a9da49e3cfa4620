"""The way to images through their files: for whoever may read them, and write into their folder."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ParamSpec

from tui.backup.copying import FileMark, byte_length, copy_file, data_bytes, reflink
from tui.backup.durable import sync_folder
from tui.backup.images import ImageInfo, allocates_nothing, image_info, read_header
from tui.backup.meter import Meter
from tui.backup.plan import ImageFormat, PlannedDisk
from tui.backup.reach import FileSystem, ImageLook, OverlaySize
from tui.backup.volatile import volatile_here
from tui.hosts.lanes import Lane

P = ParamSpec("P")


class FileReach:
    """See `reach.Reach`."""

    converts_copies = False

    async def look(self, path: str, image_format: ImageFormat) -> ImageLook | None:
        """What an image is, None where there is none; raises OSError where it cannot be read."""
        return await asyncio.to_thread(_look, path, image_format)

    async def info(self, path: str, image_format: ImageFormat) -> ImageInfo:
        """What qemu-img says, which takes the image's lock."""
        return await image_info(path, image_format)

    async def exists(self, path: str) -> bool:
        """Whether there is anything of that name."""
        return await asyncio.to_thread(os.path.lexists, path)

    async def file_system(self, folder: str) -> FileSystem | None:
        """Where a folder lies."""
        return await asyncio.to_thread(file_system, folder)

    async def overlay_size(self, disk: PlannedDisk) -> OverlaySize | None:
        """How large the overlay's file is."""
        return await asyncio.to_thread(overlay_size, disk.overlay)

    async def copy(self, disk: PlannedDisk, target: str, meter: Meter) -> str:
        """Share the base's extents where the file system can, else copy it."""
        return await on_thread(disk, _shared_or_copied, disk.base, target, meter)

    async def opened(self, disk: PlannedDisk, folder: Path, meter: Meter) -> PlannedDisk:
        """The disk as it is."""
        return disk

    async def holds_nothing(self, path: str) -> bool:
        """Whether qemu-img finds no cluster of its own in an overlay."""
        return await allocates_nothing(path)

    async def delete(self, path: str) -> None:
        """Delete an image durably."""
        await asyncio.to_thread(_delete, Path(path))

    async def close(self) -> None:
        """Files need nothing."""


async def on_thread(disk: PlannedDisk, work: Callable[P, str], *words: P.args, **named: P.kwargs) -> str:
    """Read or write much of a disk on a daemon thread of its own, which no exit waits for."""
    with closing(Lane(f"copy-{disk.target}", 1)) as lane:
        return await lane.call(work, *words, **named)


def file_system(folder: str) -> FileSystem | None:
    """Where a folder of this machine lies, None where there is none."""
    try:
        if not Path(folder).is_dir():
            return None
        space = os.statvfs(folder)
        return FileSystem(
            device=Path(folder).stat().st_dev,
            free_bytes=space.f_bavail * space.f_frsize,
            writable=os.access(folder, os.W_OK | os.X_OK),
            volatile=volatile_here(folder),
        )
    except OSError:
        return None


def overlay_size(path: str) -> OverlaySize | None:
    """How large the file is on the disk; None where it cannot be seen."""
    try:
        space = os.statvfs(Path(path).parent)
        return OverlaySize(Path(path).stat().st_blocks * 512, space.f_bavail * space.f_frsize)
    except OSError:
        return None


def _look(path: str, image_format: ImageFormat) -> ImageLook | None:
    if not os.path.lexists(path):
        return None
    status = Path(path).stat()
    return ImageLook(
        length=byte_length(path),
        data_bytes=data_bytes(path),
        header=read_header(path) if image_format is ImageFormat.QCOW2 else None,
        mark=FileMark(status.st_size, status.st_mtime_ns, status.st_ino),
        is_file=stat.S_ISREG(os.lstat(path).st_mode),
        owner=status.st_uid,
        group=status.st_gid,
        mode=stat.S_IMODE(status.st_mode),
        is_device=stat.S_ISBLK(status.st_mode),
    )


def _shared_or_copied(base: str, target: str, meter: Meter) -> str:
    with meter.asking():
        # The extents are shared: what is read when it is verified is what was captured.
        if reflink(base, target):
            return ""
    return copy_file(base, target, meter)


def _delete(path: Path) -> None:
    path.unlink()
    sync_folder(path.parent)
