"""Whether a disk's images, as they are found, are all of the disk: what cannot be saved is told disk by disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tui.backup.errors import BackupError
from tui.backup.images import Header
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, Unfit
from tui.backup.reach import ImageLook, Reach
from tui.hosts.port import HostError, HostUnreachableError


async def without_unfit(plan: BackupPlan, reach: Reach) -> BackupPlan:
    """The plan without the disks whose images no backup can save; each is named in `unfit` with its reason.

    An image that this user may not look at stays in the plan: the checks say what to do. The device that is found
    under a path makes the disk one on a device. Raises HostUnreachableError.
    """
    disks: list[PlannedDisk] = []
    unfit: list[Unfit] = []
    for disk in plan.disks:
        try:
            looks = [await reach.look(path, disk.format) for path in (disk.base, *disk.below)]
        except HostUnreachableError:
            raise
        except (OSError, HostError, BackupError):
            disks.append(disk)
            continue
        why = reason_of(disk, looks)
        if why:
            unfit.append(Unfit(disk.target, why))
        else:
            base = looks[0]
            disks.append(replace(disk, is_device=disk.is_device or (base is not None and base.is_device)))
    return left_out(replace(plan, disks=tuple(disks)), unfit)


def left_out(plan: BackupPlan, unfit: Sequence[Unfit]) -> BackupPlan:
    """The plan with further disks named as those that it leaves out."""
    return replace(plan, left_out=(*plan.left_out, *(each.target for each in unfit)), unfit=(*plan.unfit, *unfit))


def reason_of(disk: PlannedDisk, looks: Sequence[ImageLook | None]) -> str:
    """Why what was found of a disk's images, the base first, cannot be saved; empty where it can."""
    for path, look in zip((disk.base, *disk.below), looks, strict=True):
        if look is None:
            where = "" if path == disk.base else "it lies on an image that is gone: "
            return f"{where}there is no {path}"
        why = _of_header(look.header)
        if why:
            return why if path == disk.base else f"it lies on {path}: {why}"
    base, last = looks[0], looks[-1]
    if disk.format is ImageFormat.QCOW2 and base is not None and base.header is None:
        return f"{disk.base} is no qcow2 image, though the definition says so"
    if disk.below and last is not None and last.header is not None and last.header.has_backing:
        return f"what {disk.below[-1]} lies on cannot be told"
    return ""


def _of_header(header: Header | None) -> str:
    if header is None:
        return ""
    if header.external_data:
        return "its data is in another file (qcow2 with data_file), which is not supported yet"
    return "encrypted images are not supported yet" if header.encrypted else ""
