"""What the disks of a guest that is off lie on, read from their images: its definition names no chain."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import PurePosixPath

from tui.backup.errors import BackupError
from tui.backup.images import ImageInfo
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.backup.reach import Reach
from tui.hosts.port import HostError, HostUnreachableError

MOST = 64
"""Images below one disk; a chain that has more goes round in a circle, or is nothing to copy in one go."""


async def with_chains(plan: BackupPlan, reach: Reach) -> BackupPlan:
    """The plan with the images that each disk lies on, as far as they can be opened over `reach`.

    What cannot be opened ends a chain, and the checks refuse it. Raises BackupError where an image names what no
    backup can copy, and HostUnreachableError.
    """
    return replace(plan, disks=tuple([await _with_chain(disk, reach) for disk in plan.disks]))


async def _with_chain(disk: PlannedDisk, reach: Reach) -> PlannedDisk:
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
        is_qcow2 = _may_go_on(disk, image, info)
        image = await asyncio.to_thread(_plain, info.backing)
        below.append(image)
        if len(below) > MOST:
            raise _refusal(disk, f"more than {MOST} images lie below {disk.base}", "Merge some of them first.")
    return replace(disk, below=tuple(below))


def _may_go_on(disk: PlannedDisk, image: str, info: ImageInfo) -> bool:
    """Whether the image below may lie on another one; raises BackupError where it is none that can be copied."""
    if not PurePosixPath(info.backing).is_absolute():
        raise _refusal(disk, f"{image} lies on {info.backing}, which is no file", "Leave the disk out.")
    if info.backing_format not in list(ImageFormat):
        known = info.backing_format or "nothing"
        raise _refusal(
            disk,
            f"{image} says {known} of the format of {info.backing}, and guessing at it is not safe",
            f"Write it down, where it is qcow2 or raw: qemu-img rebase -u -F FORMAT -b {info.backing} {image}",
        )
    return info.backing_format == ImageFormat.QCOW2


def _plain(path: str) -> str:
    """A path without detours, links in its folders followed where it has any."""
    plain = os.path.normpath(path)
    if plain == path or not os.path.lexists(path):
        return plain
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - a plain string


def _refusal(disk: PlannedDisk, cause: str, next_step: str) -> BackupError:
    return BackupError(f"It cannot be told what disk {disk.target} lies on", cause=cause, next_step=next_step)
