"""Copies that are images of their own: compressed, or flattened from a chain, made and compared by qemu-img."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.images import run_program
from tui.backup.meter import Meter
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk

_PERCENT = re.compile(rb"\((\d+\.\d+)/100%\)")
COROUTINES = 8
POLL_S = 0.5


def convert_words(plan: BackupPlan, disk: PlannedDisk, target: str) -> tuple[str, ...]:
    """The words of `qemu-img convert` for one disk; compressed with zstd where compact copies are wanted."""
    compress = ("-c", "-o", "compression_type=zstd") if plan.compact else ()
    rate = ("-r", str(plan.limit_bytes_s)) if plan.limit_bytes_s else ()
    how = ("-p", "-W", "-m", str(COROUTINES), *compress, *rate)
    return ("convert", *how, "-O", "qcow2", "-f", disk.format, disk.base, target)


async def convert(words: Sequence[str], tick: Callable[[float], None], meter: Meter) -> None:
    """Run `qemu-img` with the words of a conversion that tells its progress (-p).

    `tick` hears how much is done, from 0 to 1. Raises BackupError, and CancelledBackupError when `meter.stop` is set.
    """
    process = await asyncio.create_subprocess_exec(
        "qemu-img",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    if process.stdout is None or process.stderr is None:
        raise AssertionError("the pipes were asked for")
    complaints = asyncio.create_task(process.stderr.read(4096))
    try:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    piece = await process.stdout.read(4096)
            except TimeoutError:
                piece = None
            if meter.stop.is_set():
                raise CancelledBackupError("The backup was cancelled")
            if piece == b"":
                break
            for found in _PERCENT.findall(piece or b""):
                tick(float(found) / 100)
    finally:
        if process.returncode is None and meter.stop.is_set():
            process.kill()
        code = await process.wait()
        said = (await complaints).decode("utf-8", "replace")
    if code != 0:
        raise BackupError("qemu-img could not copy the disk", cause=said.strip(), original=said)


async def compare(one: str, one_format: ImageFormat, other: str, other_format: ImageFormat) -> None:
    """Compare what guests see in a disk and in its copy; raises BackupError where it differs."""
    code, out, err = await run_program("qemu-img", "compare", "-f", one_format, "-F", other_format, one, other)
    if code != 0:
        raise BackupError(
            "The copy does not hold what the disk holds",
            cause=(out + err).strip()[-500:],
            next_step="Check the target's disk and the machine's memory.",
        )
