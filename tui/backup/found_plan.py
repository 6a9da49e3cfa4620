"""A plan for a guest of which no journal tells: from its definitions, and from what the images themselves are."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tui.backup.image_names import identity_here
from tui.backup.images import ImageError, image_info
from tui.backup.mark import Owner
from tui.backup.plan import BackupPlan, DiskKind, ImageFormat, PlannedDisk, is_overlay_name, overlay_beside
from tui.backup.source import SourceWish, choose_source
from tui.hosts.lanes import apart
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.same_files import are_here, why_not_here
from tui.model.disk import Disk
from tui.model.guest import DomainFacts

_STAMP = re.compile(r"\.qgatui-(\d{8}T\d{6}Z)[.-]")
NO_RUN = "00000000"
"""Stands for a run of which nothing but overlays is known."""


@dataclass(frozen=True, slots=True)
class _Below:
    """What an image lies on, as a definition or its own header calls it, and the format that is said of that."""

    name: str
    format: str


async def found_plan(
    host: Host, facts: DomainFacts, stored: Mapping[str, Disk], owner: Owner | None
) -> BackupPlan | None:
    """The top storey of every disk whose image lies on another one; overlays of backups alone, where there are any.

    None where there is no such disk. Raises HostUnreachableError.
    """
    disks: list[PlannedDisk] = []
    for disk in facts.disks:
        if disk.source_type != "file" or disk.device != "disk" or disk.readonly:
            continue
        below = await _below(host, disk, stored.get(disk.target))
        if below is not None:
            disks.append(await _planned(host, disk, below))
    disks = [disk for disk in disks if is_overlay_name(disk.overlay)] or disks
    if not disks:
        return None
    stamp = _STAMP.search(Path(disks[0].overlay).name)
    elsewhere = await why_not_here(host, [path for disk in disks for path in (disk.base, disk.overlay)])
    source, _ = await asyncio.to_thread(choose_source, SourceWish.AUTO, elsewhere, disks)
    return BackupPlan(
        run_id=(owner.run_id if owner else "") or NO_RUN,
        stamp=stamp.group(1) if stamp else "",
        host=(owner.host if owner else "") or host.name,
        uri=host.uri,
        uuid=facts.uuid,
        guest=facts.name,
        target="/",
        disks=tuple(disks),
        source=source,
    )


async def _below(host: Host, disk: Disk, stored: Disk | None) -> _Below | None:
    """What the running or the stored definition says; where they are silent, as of a guest that is off, the header."""
    for said in (disk, stored):
        if said is not None and said.source == disk.source and said.backing and said.base_format:
            return _Below(said.backing[0], said.base_format)
    if is_overlay_name(disk.source) and await are_here(host, [disk.source]):
        try:
            info = await image_info(disk.source, ImageFormat.QCOW2)
        except ImageError:
            info = None
        if info is not None and info.backing:
            return _Below(info.backing, info.backing_format)
    return _Below(disk.backing[0], "") if disk.backing else None


async def _planned(host: Host, disk: Disk, below: _Below) -> PlannedDisk:
    path, kind, named = below.name, DiskKind.FILE, ""
    pool, _, volume = path.partition("/")
    if pool and volume:
        try:
            path, kind, named = await host.volume_path(pool, volume), DiskKind.VOLUME, below.name
        except HostUnreachableError:
            raise
        except HostError:
            # Not a volume, or one whose pool does not tell: the name alone stays.
            path = below.name
    is_here = path.startswith("/") and await are_here(host, [path])
    identity = await apart(identity_here, path) if is_here else None
    base = identity.path if identity is not None else path
    is_device = identity.is_device if identity is not None else path.startswith("/dev/")
    if is_device and kind is DiskKind.FILE:
        kind = DiskKind.BLOCK
    stamp = _STAMP.search(Path(disk.source).name)
    beside = overlay_beside(base, stamp.group(1), disk.target) if stamp is not None else ""
    return PlannedDisk(
        target=disk.target,
        base=base,
        format=ImageFormat.RAW if below.format == ImageFormat.RAW else ImageFormat.QCOW2,
        overlay=disk.source,
        kind=kind,
        named=named or (path if path != base else ""),
        is_device=is_device,
        called=tuple(each for each in identity.names if each != named) if identity is not None else (),
        overlay_apart=os.path.dirname(disk.source) != os.path.dirname(beside or base),  # noqa: PTH120 - plain strings
    )
