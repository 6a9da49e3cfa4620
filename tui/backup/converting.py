"""Copies that are images of their own: compressed, or flattened from a chain, made and compared by qemu-img."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.images import run_program
from tui.backup.meter import Meter
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.hosts.children import running
from tui.hosts.lanes import apart
from tui.settings import PRIVATE_FILE

_PERCENT = re.compile(rb"\((\d+\.\d+)/100%\)")
COROUTINES = 8
POLL_S = 0.5
SAID_BYTES = 4096
_SYSTEM_WORDS = {errno.ENOSPC: "No space left on device", errno.EDQUOT: "Disk quota exceeded"}
TRIES = 5
"""Conversions that may meet a full target: one whose file system tells of room that it does not give has no end."""
LEAST_GAIN = 1024 * 1024
"""Bytes of room, at least, beyond what the last try took; it is a sixteenth of that where that is more."""


class FullTargetError(BackupError):
    """There was no room left for a copy."""


@dataclass(frozen=True, slots=True)
class _Spent:
    """Bytes on the disk that a copy had come to when its target was full, and bytes free once they were given back."""

    bytes: int
    free: int


def convert_words(plan: BackupPlan, disk: PlannedDisk, target: str) -> tuple[str, ...]:
    """The words of `qemu-img convert` for one disk; compressed with zstd where compact copies are wanted."""
    compress = ("-c", "-o", "compression_type=zstd") if plan.compact else ()
    rate = ("-r", str(plan.limit_bytes_s)) if plan.limit_bytes_s else ()
    how = ("-p", "-W", "-m", str(COROUTINES), *compress, *rate)
    return ("convert", *how, "-O", "qcow2", "-f", disk.format, disk.base, target)


async def convert(words: Sequence[str], tick: Callable[[float], None], meter: Meter) -> None:
    """Run `qemu-img` with the words of a conversion that tells its progress (-p) and ends in its target.

    On a full target it begins anew once there is more room than it had come to take; `meter.full` tells of the wait.
    `tick` hears how much is done, from 0 to 1. Raises BackupError, OSError, and CancelledBackupError when `meter.stop`
    is set.
    """
    for _ in range(TRIES - 1):
        try:
            return await _convert_once(words, tick, meter)
        except FullTargetError:
            await _until_there_is_room(words[-1], meter)
            tick(0)
    return await _convert_once(words, tick, meter)


async def _until_there_is_room(target: str, meter: Meter) -> None:
    spent = await apart(_give_back, target)
    wanted = spent.bytes + max(LEAST_GAIN, spent.bytes // 16)
    free = spent.free
    meter.full = True
    while free < wanted:
        if meter.stop.is_set():
            raise CancelledBackupError("The backup was cancelled")
        await asyncio.sleep(POLL_S)
        free = await apart(_free_bytes, target)
    await apart(_keep_private, target)
    # Nothing was asked of the target meanwhile: what stood still is no silence of its.
    meter.owe(None)
    meter.full = False


def _give_back(target: str) -> _Spent:
    """Empty the piece of a copy; the file stays, with its mode."""
    try:
        taken = Path(target).stat().st_blocks * 512
        os.truncate(target, 0)
    except FileNotFoundError:
        taken = 0
    return _Spent(taken, _free_bytes(target))


def _keep_private(target: str) -> None:
    """Make the file again that qemu-img takes away where it cannot begin; its own would be for all to read."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE))


def _free_bytes(target: str) -> int:
    """Bytes that are free for this user where `target` is: root may take those that are kept back, too."""
    space = os.statvfs(Path(target).parent)
    return (space.f_bfree if os.geteuid() == 0 else space.f_bavail) * space.f_frsize


async def _convert_once(words: Sequence[str], tick: Callable[[float], None], meter: Meter) -> None:
    # The guest's disk is merged next: nobody else may have it open by then.
    async with running("qemu-img", *words, complaints_limit=SAID_BYTES, gone_within_s=None) as conversion:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    piece = await conversion.output.read(4096)
            except TimeoutError:
                piece = None
            if meter.stop.is_set():
                raise CancelledBackupError("The backup was cancelled")
            if piece == b"":
                break
            for found in _PERCENT.findall(piece or b""):
                tick(float(found) / 100)
        said = (await conversion.complaints()).decode("utf-8", "replace")
        if await conversion.process.wait() != 0:
            raise _failure(words[-1], said)


def _failure(target: str, said: str) -> BackupError:
    """The error of a conversion; qemu-img tells the system's words, untranslated."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        if _SYSTEM_WORDS[number] in said:
            return (FullTargetError if number == errno.ENOSPC else BackupError)(
                "There was no room for the copy",
                cause=f"{Path(target).parent}: {_SYSTEM_WORDS[number]}",
                next_step="Make room there, or choose another folder, and try again.",
                original=said,
            )
    return BackupError(
        "qemu-img could not copy the disk",
        cause=said.strip(),
        next_step="See whether the image is sound (qemu-img check), then try again.",
        original=said,
    )


async def compare(one: str, one_format: ImageFormat, other: str, other_format: ImageFormat) -> None:
    """Compare what guests see in a disk and in its copy; raises BackupError where it differs."""
    code, out, err = await run_program("qemu-img", "compare", "-f", one_format, "-F", other_format, one, other)
    if code != 0:
        raise BackupError(
            "The copy does not hold what the disk holds",
            cause=(out + err).strip()[-500:],
            next_step="Check the target's disk and the machine's memory.",
        )
