"""The disks that a guest has by now, for a restore that puts some of them back and leaves the others alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tui.backup.chain import disks_by_target
from tui.backup.errors import BackupError
from tui.backup.image_names import plain
from tui.backup.plan import DiskKind, ImageFormat
from tui.backup.restore.plan import RestoredFile, RestorePlan
from tui.backup.selection import REMOVABLE
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.model.disk import Disk, DiskTrait


async def present_disks(host: Host, stored_xml: str) -> dict[str, Disk]:
    """The disks of a guest's definition by their targets, a volume named by its path.

    A volume keeps its name where its pool does not tell the path. Raises HostUnreachableError, MalformedXmlError.
    """
    return {target: await _by_path(host, disk) for target, disk in disks_by_target(stored_xml).items()}


async def _by_path(host: Host, disk: Disk) -> Disk:
    if disk.source_type != DiskKind.VOLUME:
        return disk
    pool, _, volume = disk.source.partition("/")
    try:
        return replace(disk, source=await host.volume_path(pool, volume))
    except HostUnreachableError:
        raise
    except HostError:
        return disk


def refuse_unfit(guest: str, present: Mapping[str, Disk], targets: Iterable[str], as_files: Iterable[str]) -> None:
    """Raise BackupError for a disk that the guest does not have by now, or has on what no copy can take the place of.

    Whatever `as_files` are on, it is left alone.
    """
    whole = "Restore the whole guest, or this disk alone to a path: --disk TARGET --to PATH."
    for target in targets:
        disk = present.get(target)
        if disk is None or disk.device != "disk":
            what = "it has no such disk by now" if disk is None else f"{target} is a {disk.device} by now"
            raise BackupError(f"{target} cannot be put back into {guest}", cause=what, next_step=whole)
        why = "" if target in as_files else _unfit(disk)
        if why:
            raise BackupError(
                f"{target} cannot be put back into {guest}",
                cause=f"its present image cannot be replaced: {why}",
                next_step=whole,
            )


def _unfit(disk: Disk) -> str:
    strange = ", ".join(sorted(disk.traits - {DiskTrait.THROTTLED}))
    trouble = (
        (disk.source_type not in list(DiskKind), f"a disk of type {disk.source_type}"),
        (not disk.source.startswith("/"), "its pool does not tell where it is" if disk.source else "there is none"),
        (disk.format not in list(ImageFormat), f"it is of format {disk.format or 'unknown'}"),
        (bool(strange), f"its definition is of a kind ({strange}) that a copy of the disk does not fit"),
        (disk.encrypted, "it is encrypted, and the copy is not"),
    )
    return next((why for holds, why in trouble if holds), "")


def moved_since(plan: RestorePlan, present: Mapping[str, Disk]) -> tuple[str, ...]:
    """Which of the plan's disks the guest has no more, or no more where the plan puts them, in words."""
    found = ((disk, present.get(disk.name)) for disk in plan.disks)
    return tuple(
        f"{disk.name} is on {there.source}, and no more on {disk.to}"
        if there is not None
        else f"there is no {disk.name}"
        for disk, there in found
        if there is None or (disk.name not in plan.into_files and not _is_on(there, disk))
    )


def _is_on(there: Disk, disk: RestoredFile) -> bool:
    """Whether a disk is on the place that a plan found under the definition's name for it."""
    names = {plain(disk.to), plain(disk.named or disk.to)}
    return plain(there.source) in names and there.format == disk.to_format


def others_of(plan: RestorePlan, present: Mapping[str, Disk]) -> tuple[Disk, ...]:
    """The guest's other disks, which stay as they are; a drive's medium is none."""
    replaced = {disk.name for disk in plan.disks}
    return tuple(
        disk
        for target, disk in present.items()
        if target not in replaced and disk.device not in REMOVABLE and disk.source
    )
