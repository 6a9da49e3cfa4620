"""What the disks of a guest that is off lie on, read from their images: its definition names no chain."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import PurePosixPath

from tui.backup.errors import BackupError
from tui.backup.fitness import left_out
from tui.backup.image_names import identity_here, plain
from tui.backup.images import ImageInfo
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, Source, Unfit
from tui.backup.reach import Reach
from tui.hosts.port import HostError, HostUnreachableError

MOST = 64
"""Images below one disk; a chain that has more goes round in a circle, or is nothing to copy in one go."""


class ChainError(Exception):
    """What lies below a disk cannot be copied; the text says why."""


async def with_chains(plan: BackupPlan, reach: Reach) -> BackupPlan:
    """The plan with the images that each disk lies on, as far as they can be opened over `reach`.

    What cannot be opened ends a chain, and the checks refuse it. A disk whose images name what no backup can copy is
    left out, with the reason. Raises HostUnreachableError.
    """
    disks: list[PlannedDisk] = []
    unfit: list[Unfit] = []
    for disk in plan.disks:
        try:
            disks.append(await _with_chain(disk, reach, is_here=plan.source is Source.FILE))
        except ChainError as error:
            unfit.append(Unfit(disk.target, str(error)))
    return left_out(replace(plan, disks=tuple(disks)), unfit)


async def _with_chain(disk: PlannedDisk, reach: Reach, *, is_here: bool) -> PlannedDisk:
    if disk.format is not ImageFormat.QCOW2 or disk.below:
        return disk
    below: list[str] = []
    image, is_qcow2 = disk.base, True
    while is_qcow2:
        try:
            info = await reach.info(image, ImageFormat.QCOW2)
        except HostUnreachableError:
            raise
        except (OSError, HostError, BackupError):
            break
        if not info.backing:
            break
        is_qcow2 = _may_go_on(image, info)
        image = (await asyncio.to_thread(identity_here, info.backing)).path if is_here else plain(info.backing)
        below.append(image)
        if len(below) > MOST:
            raise ChainError(f"more than {MOST} images lie below {disk.base}: merge some of them first")
    return replace(disk, below=tuple(below))


def _may_go_on(image: str, info: ImageInfo) -> bool:
    """Whether the image below may lie on another one; raises ChainError where it is none that can be copied."""
    if not PurePosixPath(info.backing).is_absolute():
        raise ChainError(f"{image} lies on {info.backing}, which is no file: it is not supported yet")
    if info.backing_format not in list(ImageFormat):
        known = info.backing_format or "nothing"
        raise ChainError(
            f"{image} says {known} of the format of {info.backing}, and guessing at it is not safe. "
            f"Write it down, where it is qcow2 or raw: qemu-img rebase -u -F FORMAT -b {info.backing} {image}"
        )
    return info.backing_format == ImageFormat.QCOW2
