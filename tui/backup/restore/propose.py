"""A plan for a restore, with what speaks for and against it, and the commands that would do the same."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.chain import disks_by_target
from tui.backup.checks import Verdict
from tui.backup.clone_xml import clone_name
from tui.backup.equivalents import PlanStep
from tui.backup.errors import BackupError
from tui.backup.folder import folder_name
from tui.backup.nvram import NVRAM_FILE, Nvram
from tui.backup.plan import DiskKind, ImageFormat, new_run_id, stamp_now
from tui.backup.propose import IMAGES
from tui.backup.restore.circumstances import gather
from tui.backup.restore.definition import ExplainedChange, explained_changes
from tui.backup.restore.findings import findings_of, free_name
from tui.backup.restore.plan import (
    NVRAM_NAME,
    RestoredFile,
    RestorePlan,
    RestoreWay,
    aside_of,
    partial_of,
    read_restore_plan,
)
from tui.backup.restore.saved import SavedBackup, SavedDisk
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.wishes import Finding, Wishes
from tui.hosts.port import Host
from tui.model.guest import DomainFacts

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class RestoreProposal:
    """What a restore would do: the plan, the findings, what changes in the definition, each step as a command."""

    wishes: Wishes
    plan: RestorePlan
    findings: tuple[Finding, ...]
    changes: tuple[ExplainedChange, ...]
    steps: tuple[PlanStep, ...]

    @property
    def may_begin(self) -> bool:
        """Whether no finding forbids the restore."""
        return all(finding.verdict is not Verdict.FAILED for finding in self.findings)

    @property
    def data_bytes(self) -> int:
        """About how many bytes are written."""
        return sum(file.data_bytes for file in self.plan.files)


async def propose_restore(host: Host, saved: SavedBackup, wishes: Wishes) -> RestoreProposal:
    """Plan a restore and look whether it may begin; changes nothing.

    Raises BackupError where no plan can be made of the wishes, and HostError.
    """
    plan = await _plan(host, saved, wishes)
    plan = read_restore_plan(plan.to_json())
    now = await gather(host, saved, plan)
    return RestoreProposal(
        wishes=wishes,
        plan=plan,
        findings=findings_of(saved, plan, wishes, now),
        changes=explained_changes(plan, saved.stored_xml),
        steps=plan_steps(plan),
    )


async def _plan(host: Host, saved: SavedBackup, wishes: Wishes) -> RestorePlan:
    run_id = new_run_id()
    domains = await host.list_domains()
    guest, guest_uuid, own_folder, attach_as = saved.guest, saved.uuid, "", ""
    match wishes.way:
        case RestoreWay.CLONE | RestoreWay.BOOT_TEST:
            guest = _clone_name(saved, wishes, domains)
            guest_uuid = str(uuid.uuid4())
            parent = wishes.to or _images_of(saved)
            own_folder = str(Path(parent) / folder_name(guest))
            files = await asyncio.to_thread(_clone_files, saved, run_id, own_folder)
        case RestoreWay.IN_PLACE:
            guest = next((facts.name for facts in domains if facts.uuid == saved.uuid), saved.guest)
            files = await asyncio.to_thread(_original_files, saved, run_id)
        case RestoreWay.DISK:
            guest_uuid = str(uuid.uuid4())
            disk = _the_disk(saved, wishes)
            to = await asyncio.to_thread(_image_path, saved, disk, wishes.to or str(Path.cwd()))
            files = (_restored(disk, run_id, to, disk.format, owner=os.geteuid(), group=os.getegid(), mode=0o600),)
        case RestoreWay.ATTACH:
            disk, other = _the_disk(saved, wishes), _other_guest(wishes, domains)
            guest, guest_uuid, attach_as = other.name, other.uuid, await _free_target(host, other)
            files = (await asyncio.to_thread(_attached_file, saved, disk, other, wishes, run_id),)
    return RestorePlan(
        run_id=run_id,
        stamp=stamp_now(),
        host=host.name,
        uri=host.uri,
        way=wishes.way,
        folder=str(saved.folder),
        source=saved.guest,
        guest=guest,
        uuid=guest_uuid,
        files=files,
        own_folder=own_folder,
        attach_as=attach_as,
        changes=wishes.changes,
        link_down=wishes.link_down,
        stop=wishes.stop,
        accepted=wishes.accepted,
        limit_bytes_s=wishes.limit_bytes_s,
    )


def _clone_name(saved: SavedBackup, wishes: Wishes, domains: tuple[DomainFacts, ...]) -> str:
    if wishes.name:
        return wishes.name
    name = clone_name(saved.guest) if wishes.way is RestoreWay.CLONE else f"{saved.guest}-boot-test"
    return free_name(name, frozenset(facts.name for facts in domains))


def _images_of(saved: SavedBackup) -> str:
    """Where the guest's images were: beside them a clone's folder is made."""
    files = (disk.original for disk in saved.disks if disk.kind is not DiskKind.BLOCK)
    first = next(files, "")
    return str(Path(first).parent) if first else IMAGES


def _clone_files(saved: SavedBackup, run_id: str, folder: str) -> tuple[RestoredFile, ...]:
    disks = tuple(_restored(disk, run_id, f"{folder}/{disk.target}.{disk.format}", disk.format) for disk in saved.disks)
    if saved.nvram is None:
        return disks
    return (*disks, _nvram(saved, saved.nvram, run_id, f"{folder}/{Path(NVRAM_FILE).name}"))


def _original_files(saved: SavedBackup, run_id: str) -> tuple[RestoredFile, ...]:
    disks = tuple(_restored(disk, run_id, disk.original, disk.original_format) for disk in saved.disks)
    nvram = () if saved.nvram is None else (_nvram(saved, saved.nvram, run_id, saved.nvram.path),)
    return tuple(_moved_aside(file, run_id) for file in (*disks, *nvram))


def _moved_aside(file: RestoredFile, run_id: str) -> RestoredFile:
    return replace(file, aside=aside_of(file.to, run_id)) if os.path.lexists(file.to) else file


def _restored(
    disk: SavedDisk,
    run_id: str,
    to: str,
    to_format: ImageFormat,
    *,
    owner: int | None = None,
    group: int | None = None,
    mode: int | None = None,
) -> RestoredFile:
    return RestoredFile(
        name=disk.target,
        file=disk.file,
        sha256=disk.sha256,
        to=to,
        partial=partial_of(to, run_id),
        data_bytes=disk.data_bytes,
        format=disk.format,
        to_format=to_format,
        kind=disk.kind,
        owner=disk.owner if owner is None else owner,
        group=disk.group if group is None else group,
        mode=disk.mode if mode is None else mode,
    )


def _nvram(saved: SavedBackup, nvram: Nvram, run_id: str, to: str) -> RestoredFile:
    path = saved.path(NVRAM_FILE)
    return RestoredFile(
        name=NVRAM_NAME,
        file=NVRAM_FILE,
        sha256=saved.sums[NVRAM_FILE],
        to=to,
        partial=partial_of(to, run_id),
        data_bytes=path.stat().st_size if path.is_file() else 0,
        owner=nvram.owner,
        group=nvram.group,
        mode=int(nvram.mode, 8),
    )


def _the_disk(saved: SavedBackup, wishes: Wishes) -> SavedDisk:
    if not wishes.disk and len(saved.disks) == 1:
        return saved.disks[0]
    disk = next((disk for disk in saved.disks if disk.target == wishes.disk), None)
    if disk is None:
        there = ", ".join(disk.target for disk in saved.disks)
        asked = f"the backup has no disk {wishes.disk}" if wishes.disk else "no disk was named"
        raise BackupError("One disk is restored at a time", cause=asked, next_step=f"Name one of: {there}")
    return disk


def _image_path(saved: SavedBackup, disk: SavedDisk, to: str) -> str:
    path = Path(to).absolute()
    if to.endswith("/") and not path.is_dir():
        raise BackupError(f"There is no folder {path}", next_step="Make it first, or name a file: no / at the end.")
    return str(path / _image_name(saved, disk)) if path.is_dir() else os.path.normpath(path)


def _image_name(saved: SavedBackup, disk: SavedDisk) -> str:
    return f"{folder_name(saved.guest)}-{disk.target}-{saved.stamp}.{disk.format}"


def _other_guest(wishes: Wishes, domains: tuple[DomainFacts, ...]) -> DomainFacts:
    found = [facts for facts in domains if wishes.attach in (facts.name, facts.uuid)]
    if not found:
        raise BackupError(f"There is no guest {wishes.attach}", next_step="See the guests with: qga-tui list")
    return found[0]


def _attached_file(
    saved: SavedBackup, disk: SavedDisk, other: DomainFacts, wishes: Wishes, run_id: str
) -> RestoredFile:
    """Beside the other guest's own image and of the same owner, so that its QEMU may read it."""
    image = next((d.source for d in other.disks if d.source_type == "file" and d.device == "disk" and d.source), "")
    folder = wishes.to or (str(Path(image).parent) if image else IMAGES)
    to = str(Path(folder) / f"{folder_name(saved.guest)}-{disk.target}-restore-{run_id}.{disk.format}")
    try:
        status = Path(image).stat()
        owner, group = status.st_uid, status.st_gid
    except OSError:
        owner, group = disk.owner, disk.group
    return _restored(disk, run_id, to, disk.format, owner=owner, group=group, mode=0o600)


async def _free_target(host: Host, other: DomainFacts) -> str:
    """The first virtio name that neither of the guest's definitions uses."""
    used = {disk.target for disk in other.disks}
    if other.persistent:
        used |= set(disks_by_target(await host.stored_xml(other.uuid)))
    free = (f"vd{letter}" for letter in _LETTERS if f"vd{letter}" not in used)
    target = next(free, "")
    if not target:
        raise BackupError(f"{other.name} has no room for another disk", cause="vda to vdz are in use")
    return target
