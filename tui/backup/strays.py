"""Overlays that nothing but their names tells of: beside the images of guests, unknown to definitions and runs."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from tui.backup.chain import Place
from tui.backup.image_names import real_path
from tui.backup.images import ImageError, ImageInfo, allocates_nothing, image_info
from tui.backup.leftovers import DiskEvidence, GuestEvidence
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk, is_overlay_name
from tui.backup.runs import list_runs, worker_alive
from tui.backup.shared_storage import shared_here
from tui.hosts.lanes import apart
from tui.hosts.port import Host
from tui.hosts.same_files import those_here
from tui.model.guest import DomainFacts, PowerState

_PARTS = re.compile(r"\.qgatui-(\d{8}T\d{6}Z)(?:\.([A-Za-z0-9]+)\.qcow2|-[0-9a-f]{8})$")


async def find_strays(
    host: Host, named: Mapping[str, frozenset[str]], known: Collection[str]
) -> tuple[GuestEvidence, ...]:
    """Every stray overlay of this machine; `named` is what guests call their images, by UUID, `known` other overlays.

    Only looks: read-only, and in the folders of those images alone. Raises HostError.
    """
    names = frozenset().union(*named.values())
    folders = {os.path.dirname(name) for name in names if name.startswith("/")}  # noqa: PTH120 - plain strings
    found = sorted(await apart(_overlays_in, await those_here(host, folders)) - await apart(_real, {*names, *known}))
    if not found:
        return ()
    # A backup may have begun since the guests were asked: both are asked again before a file is called a stray.
    domains = await host.list_domains()
    in_use = {name for facts in domains for disk in facts.disks for name in (disk.source, *disk.backing)}
    at_work = await asyncio.to_thread(_overlays_at_work)
    known_now = await apart(_real, in_use | at_work)
    return tuple([await _evidence(host, domains, named, path) for path in found if path not in known_now])


def _real(paths: Collection[str]) -> set[str]:
    """Where paths really lead: one file has many names, and is a stray under none of them if one is known."""
    return {real_path(path) for path in paths}


def _overlays_at_work() -> set[str]:
    return {disk.overlay for run in list_runs() if worker_alive(run) for disk in run.plan.disks}


def _overlays_in(folders: Collection[str]) -> set[str]:
    """The overlays, by their real paths, in folders; those that cannot be looked into have none."""
    found: set[str] = set()
    for folder in _real(folders):
        try:
            with os.scandir(folder) as entries:
                found |= {each.path for each in entries if is_overlay_name(each.path) and not each.is_symlink()}
        except OSError:
            continue
    return found


async def _evidence(
    host: Host, domains: Collection[DomainFacts], named: Mapping[str, frozenset[str]], path: str
) -> GuestEvidence:
    info = await _look(path)
    owner = next((facts for facts in domains if info.backing and info.backing in named.get(facts.uuid, ())), None)
    parts = _PARTS.search(path)
    stamp, target = parts.groups() if parts is not None else ("", "")
    image_format = ImageFormat.RAW if info.backing_format == ImageFormat.RAW else ImageFormat.QCOW2
    disk = PlannedDisk(target or "", info.backing, image_format, path)
    plan = BackupPlan(
        run_id="",
        stamp=stamp,
        host=host.name,
        uri=host.uri,
        uuid=owner.uuid if owner is not None else "",
        guest=owner.name if owner is not None else Path(path).name,
        target="/",
        disks=(disk,),
    )
    place = Place.BASE if owner is not None else Place.ELSEWHERE
    evidence = DiskEvidence(disk, place, place, overlay_exists=True, is_proven=await allocates_nothing(path))
    shared = await apart(shared_here, os.path.dirname(path))  # noqa: PTH120 - a plain string
    return GuestEvidence(plan, PowerState.UNKNOWN, "", is_ours=True, disks=(evidence,), is_stray=True, shared=shared)


async def _look(path: str) -> ImageInfo:
    """What an overlay lies on; nothing where it cannot be read, or somebody has it open."""
    try:
        return await image_info(path, ImageFormat.QCOW2)
    except ImageError:
        return ImageInfo("", 0, "")
