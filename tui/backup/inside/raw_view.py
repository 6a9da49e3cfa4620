"""A disk image as a plain file of the disk's own bytes, whatever its format: read-only, and gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from tui.backup.images import extents, read_header, run_program
from tui.backup.inside.errors import InsideError, NeedsCopyError
from tui.backup.plan import ImageFormat
from tui.backup.tied import NotServingError, start_tied, until_it_serves
from tui.hosts.children import Child

STORAGE_DAEMON = "qemu-storage-daemon"
READY_S, LETTING_GO_S, POLL_S = 10.0, 5.0, 0.05
TEMPORARY = "/var/tmp"  # noqa: S108 - a private folder is made in it; /tmp is often memory
ROOM_TO_LEAVE = 256 * 1024 * 1024
"""Bytes that a temporary copy leaves free."""


@asynccontextmanager
async def raw_view(path: str, image_format: ImageFormat, *, may_copy: bool = False) -> AsyncIterator[int]:
    """A descriptor that reads the disk's bytes.

    A qcow2 image is shown by qemu-storage-daemon as a file (FUSE); where that cannot be, it has to be converted into a
    temporary file, which raises NeedsCopyError unless `may_copy`. Raises InsideError, ImageError and OSError.
    """
    if image_format is ImageFormat.RAW:
        with _opened(path) as descriptor:
            yield descriptor
        return
    await asyncio.to_thread(_refuse_dependent, path)
    with tempfile.TemporaryDirectory(prefix="qga-tui-look-", dir=TEMPORARY, ignore_cleanup_errors=True) as folder:
        shown = Path(folder) / "disk"
        shown.touch(0o600)
        try:
            daemon = await _show(path, image_format, shown)
        except InsideError as error:
            await _convert(path, image_format, shown, error.one_line(), may_copy=may_copy)
            with _opened(str(shown)) as descriptor:
                # Nothing of it is left, however this process ends.
                shown.unlink()
                yield descriptor
            return
        try:
            with _opened(str(shown)) as descriptor:
                yield descriptor
        finally:
            await asyncio.shield(_end(daemon))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """A plain file, open for reading; raises OSError, and InsideError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InsideError("The copy of the disk is no plain file", cause=path)
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_dependent(path: str) -> None:
    """A backup's image stands by itself; one that reads another file would show that file's bytes."""
    header = read_header(path)
    if header is None or header.has_backing or header.external_data or header.encrypted:
        raise InsideError(
            "The copy of the disk does not stand by itself",
            cause=f"{path} needs another file or a key, or is no qcow2 image",
            next_step="Verify the backup: it says what is wrong with it.",
        )


async def _show(path: str, image_format: ImageFormat, shown: Path) -> Child:
    """Have the disk's bytes shown in the file `shown`; raises InsideError with the reason where that cannot be."""
    if shutil.which(STORAGE_DAEMON) is None:
        raise InsideError(
            f"{STORAGE_DAEMON} is missing", next_step="Install the package qemu-system-common (or qemu-img)."
        )
    file = {"driver": "file", "node-name": "file", "filename": path, "read-only": True}
    disk = {"driver": image_format, "node-name": "disk", "file": "file", "read-only": True, "backing": None}
    export = {"type": "fuse", "id": "view", "node-name": "disk", "mountpoint": str(shown), "writable": False}
    words = ("--blockdev", json.dumps(file), "--blockdev", json.dumps(disk), "--export", json.dumps(export))
    daemon = await start_tied(STORAGE_DAEMON, *words, signal="TERM")
    try:
        await _until_shown(daemon, shown)
    except BaseException:
        await asyncio.shield(_end(daemon))
        raise
    return daemon


async def _until_shown(daemon: Child, shown: Path) -> None:
    cannot = "The image cannot be shown as a file (FUSE)"
    is_mount = partial(asyncio.to_thread, os.path.ismount, shown)
    try:
        await until_it_serves(daemon, is_mount, within_s=READY_S, poll_s=POLL_S)
    except NotServingError as error:
        raise InsideError(cannot, cause=error.said[-300:] or "no answer", original=error.said) from error
    except OSError as error:
        raise InsideError(cannot, cause=str(error)) from error


async def _end(daemon: Child) -> None:
    """Let the daemon take its view away and end."""
    if daemon.process.returncode is None:
        daemon.process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(daemon.process.wait(), LETTING_GO_S)
    await daemon.let_go()


async def _convert(path: str, image_format: ImageFormat, target: Path, why: str, *, may_copy: bool) -> None:
    needed = await _bytes_of_data(path, image_format)
    free = (await asyncio.to_thread(shutil.disk_usage, target.parent)).free - ROOM_TO_LEAVE
    if not may_copy or needed >= free:
        raise NeedsCopyError(why, needed, free, TEMPORARY)
    code, _, err = await run_program("qemu-img", "convert", "-f", image_format, "-O", "raw", path, str(target))
    if code != 0:
        raise InsideError("The temporary copy could not be made", cause=err.strip()[-300:], original=err)


async def _bytes_of_data(path: str, image_format: ImageFormat) -> int:
    """Bytes that a sparse raw copy takes."""
    needed = 0
    async with aclosing(extents(path, image_format)) as found:
        async for extent in found:
            needed += extent.length if extent.data else 0
    return needed
