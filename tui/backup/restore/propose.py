"""A plan for a restore, with what speaks for and against it, and the commands that would do the same."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.chain import disks_by_target
from tui.backup.checks import Verdict
from tui.backup.clone_xml import clone_name
from tui.backup.equivalents import PlanStep
from tui.backup.errors import BackupError
from tui.backup.folder import folder_name
from tui.backup.nvram import NVRAM_FILE
from tui.backup.plan import DiskKind, ImageFormat, new_run_id, stamp_now
from tui.backup.propose import IMAGES
from tui.backup.restore.circumstances import gather
from tui.backup.restore.definition import ExplainedChange, explained_changes
from tui.backup.restore.findings import findings_of
from tui.backup.restore.firmware import nvram_file, tpm_files
from tui.backup.restore.naming import free_name, image_name, images_of, name_among_images
from tui.backup.restore.plan import (
    Change,
    ChangeKind,
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
    _refuse_foreign_files(saved, wishes)
    run_id = new_run_id()
    domains = await host.list_domains()
    guest, guest_uuid, own_folder = saved.guest, saved.uuid, ""
    match wishes.way:
        case RestoreWay.CLONE | RestoreWay.BOOT_TEST:
            guest = _clone_name(saved, wishes, domains)
            guest_uuid = str(uuid.uuid4())
            parent = wishes.to or images_of(saved)
            own_folder = str(Path(parent) / folder_name(guest))
            files = await asyncio.to_thread(_clone_files, saved, run_id, own_folder)
            files = (*files, *await asyncio.to_thread(tpm_files, saved, run_id, wishes.way, host.uri, guest_uuid))
        case RestoreWay.IN_PLACE:
            guest = next((facts.name for facts in domains if facts.uuid == saved.uuid), saved.guest)
            files = await asyncio.to_thread(_original_files, saved, run_id, _wanted_files(wishes))
            states = await asyncio.to_thread(tpm_files, saved, run_id, wishes.way, host.uri, guest_uuid)
            files = (*files, *(_moved_aside(state, run_id) for state in states))
        case RestoreWay.DISK:
            guest_uuid = str(uuid.uuid4())
            files = await asyncio.to_thread(_own_files, saved, wishes, run_id)
        case RestoreWay.ATTACH:
            other = _other_guest(wishes, domains)
            guest, guest_uuid = other.name, other.uuid
            targets = await _free_targets(host, other)
            files = await asyncio.to_thread(_attached_files, saved, other, wishes, run_id, targets)
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


def _clone_files(saved: SavedBackup, run_id: str, folder: str) -> tuple[RestoredFile, ...]:
    disks = tuple(_restored(disk, run_id, f"{folder}/{disk.target}.{disk.format}", disk.format) for disk in saved.disks)
    if saved.nvram is None:
        return disks
    return (*disks, nvram_file(saved, saved.nvram, run_id, f"{folder}/{Path(NVRAM_FILE).name}"))


def _wanted_files(wishes: Wishes) -> dict[str, str]:
    """The disks that are to become files, by their targets, and where to."""
    return {change.subject: change.value for change in wishes.changes if change.kind is ChangeKind.FILE}


def _refuse_foreign_files(saved: SavedBackup, wishes: Wishes) -> None:
    targets = {disk.target for disk in saved.disks}
    for target, path in _wanted_files(wishes).items():
        word = Change(ChangeKind.FILE, target, path).word
        if wishes.way is not RestoreWay.IN_PLACE:
            raise BackupError("Only a restore in place puts a disk into a file instead", cause=word)
        if target not in targets or not path.startswith("/") or path.endswith("/"):
            raise BackupError(
                "A disk of the backup becomes a file by its path",
                cause=word,
                next_step=f"Write it as file:{saved.disks[0].target}=/PATH.",
            )


def _original_files(saved: SavedBackup, run_id: str, as_files: Mapping[str, str]) -> tuple[RestoredFile, ...]:
    """Each where it was, and what is there aside; `as_files` lie elsewhere, and what they replace stays as it is."""
    disks = tuple(
        _moved_aside(_restored(disk, run_id, disk.original, disk.original_format), run_id)
        if disk.target not in as_files
        else _restored(replace(disk, kind=DiskKind.FILE), run_id, os.path.normpath(as_files[disk.target]), disk.format)
        for disk in saved.disks
    )
    if saved.nvram is None:
        return disks
    return (*disks, _moved_aside(nvram_file(saved, saved.nvram, run_id, saved.nvram.path), run_id))


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


def _the_disks(saved: SavedBackup, wishes: Wishes) -> tuple[SavedDisk, ...]:
    if not wishes.disks and len(saved.disks) == 1:
        return saved.disks
    there = {disk.target: disk for disk in saved.disks}
    unknown = [target for target in wishes.disks if target not in there]
    if unknown or not wishes.disks:
        asked = f"the backup has no disk {', '.join(unknown)}" if unknown else "no disk was named"
        raise BackupError(
            "It is not clear which disks to restore", cause=asked, next_step=f"Name some of: {', '.join(there)}"
        )
    return tuple(there[target] for target in dict.fromkeys(wishes.disks))


def _own_files(saved: SavedBackup, wishes: Wishes, run_id: str) -> tuple[RestoredFile, ...]:
    """Images for whoever restores, and for nobody else."""
    disks, to = _the_disks(saved, wishes), wishes.to or str(Path.cwd())
    if len(disks) > 1 and not Path(to).is_dir():
        raise BackupError(
            f"There is no folder {to}",
            cause="several disks go to a folder",
            next_step="Make it first, or name another.",
        )
    user, group = os.geteuid(), os.getegid()
    return tuple(
        _restored(disk, run_id, _image_path(saved, disk, to), disk.format, owner=user, group=group, mode=0o600)
        for disk in disks
    )


def _image_path(saved: SavedBackup, disk: SavedDisk, to: str) -> str:
    path = Path(to).absolute()
    if to.endswith("/") and not path.is_dir():
        raise BackupError(f"There is no folder {path}", next_step="Make it first, or name a file: no / at the end.")
    return str(path / image_name(saved, disk)) if path.is_dir() else os.path.normpath(path)


def _other_guest(wishes: Wishes, domains: tuple[DomainFacts, ...]) -> DomainFacts:
    found = [facts for facts in domains if wishes.attach in (facts.name, facts.uuid)]
    if not found:
        raise BackupError(f"There is no guest {wishes.attach}", next_step="See the guests with: qga-tui list")
    return found[0]


def _attached_files(
    saved: SavedBackup, other: DomainFacts, wishes: Wishes, run_id: str, targets: tuple[str, ...]
) -> tuple[RestoredFile, ...]:
    """Beside the other guest's own image and of the same owner, so that its QEMU may read them."""
    disks = _the_disks(saved, wishes)
    if len(disks) > len(targets):
        raise BackupError(
            f"{other.name} has no room for {len(disks)} more disks", cause=f"of vda to vdz, {len(targets)} are free"
        )
    image = next((d.source for d in other.disks if d.source_type == "file" and d.device == "disk" and d.source), "")
    folder = wishes.to or (str(Path(image).parent) if image else IMAGES)
    try:
        status = Path(image).stat()
        owner: tuple[int, int] | None = (status.st_uid, status.st_gid)
    except OSError:
        owner = None
    files: list[RestoredFile] = []
    for disk, target in zip(disks, targets, strict=False):
        to = str(Path(folder) / name_among_images(saved, disk, run_id))
        user, group = owner or (disk.owner, disk.group)
        file = _restored(disk, run_id, to, disk.format, owner=user, group=group, mode=0o600)
        files.append(replace(file, attach_as=target))
    return tuple(files)


async def _free_targets(host: Host, other: DomainFacts) -> tuple[str, ...]:
    """The virtio names that neither of the guest's definitions uses."""
    used = {disk.target for disk in other.disks}
    if other.persistent:
        used |= set(disks_by_target(await host.stored_xml(other.uuid)))
    return tuple(f"vd{letter}" for letter in _LETTERS if f"vd{letter}" not in used)
