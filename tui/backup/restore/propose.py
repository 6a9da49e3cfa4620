"""A plan for a restore, with what speaks for and against it, and the commands that would do the same."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path

from tui.backup.chain import disks_by_target
from tui.backup.checks import Verdict
from tui.backup.clone_xml import clone_name
from tui.backup.equivalents import PlanStep
from tui.backup.errors import BackupError
from tui.backup.folder import folder_name
from tui.backup.plan import new_run_id, stamp_now
from tui.backup.restore.circumstances import gather, without_host
from tui.backup.restore.definition import ExplainedChange, explained_changes
from tui.backup.restore.findings import findings_of
from tui.backup.restore.firmware import tpm_files
from tui.backup.restore.naming import free_name, images_of
from tui.backup.restore.placing import (
    attached_files,
    chosen_of,
    clone_files,
    moved_aside,
    original_files,
    own_files,
    present_files,
)
from tui.backup.restore.plan import ChangeKind, RestorePlan, RestoreWay, read_restore_plan
from tui.backup.restore.present import present_disks, refuse_unfit
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.wishes import Finding, Wishes
from tui.hosts.port import Host
from tui.model.disk import Disk
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
    """Plan a restore and look whether it may begin; changes nothing. The host is not asked where disks go to a path.

    Raises BackupError where no plan can be made of the wishes, and HostError.
    """
    plan = await _plan(host, saved, wishes)
    plan = read_restore_plan(plan.to_json())
    now = await (without_host(saved, plan) if plan.way is RestoreWay.DISK else gather(host, saved, plan))
    return RestoreProposal(
        wishes=wishes,
        plan=plan,
        findings=findings_of(saved, plan, wishes, now),
        changes=explained_changes(plan, now.present_xml or saved.stored_xml),
        steps=plan_steps(plan),
    )


async def _plan(host: Host, saved: SavedBackup, wishes: Wishes) -> RestorePlan:
    chosen = chosen_of(saved, wishes)
    _refuse_foreign_wishes(chosen, wishes)
    run_id = new_run_id()
    domains = () if wishes.way is RestoreWay.DISK else await host.list_domains()
    guest, guest_uuid, own_folder = saved.guest, saved.uuid, ""
    match wishes.way:
        case RestoreWay.CLONE | RestoreWay.BOOT_TEST:
            guest = _clone_name(saved, wishes, domains)
            guest_uuid = str(uuid.uuid4())
            parent = wishes.to or images_of(saved)
            own_folder = str(Path(parent) / folder_name(guest))
            files = await asyncio.to_thread(clone_files, chosen, run_id, own_folder)
            files = (*files, *await asyncio.to_thread(tpm_files, saved, run_id, wishes.way, host.uri, guest_uuid))
        case RestoreWay.IN_PLACE if wishes.disks:
            guest, present = await _present(host, chosen, wishes, domains)
            files = await asyncio.to_thread(present_files, chosen, present, run_id, _wanted_files(wishes))
        case RestoreWay.IN_PLACE:
            guest = next((facts.name for facts in domains if facts.uuid == saved.uuid), saved.guest)
            files = await asyncio.to_thread(original_files, saved, run_id, _wanted_files(wishes))
            states = await asyncio.to_thread(tpm_files, saved, run_id, wishes.way, host.uri, guest_uuid)
            files = (*files, *(moved_aside(state, run_id) for state in states))
        case RestoreWay.DISK:
            guest_uuid = str(uuid.uuid4())
            files = await asyncio.to_thread(own_files, saved, wishes, run_id)
        case RestoreWay.ATTACH:
            other = _other_guest(wishes, domains)
            guest, guest_uuid = other.name, other.uuid
            targets = await _free_targets(host, other)
            files = await asyncio.to_thread(attached_files, saved, other, wishes, run_id, targets)
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
        chosen=bool(wishes.disks),
        left_out=tuple(disk.target for disk in saved.disks if disk not in chosen.disks),
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


def _wanted_files(wishes: Wishes) -> dict[str, str]:
    """The disks that are to become files, by their targets, and where to."""
    return {change.subject: change.value for change in wishes.changes if change.kind is ChangeKind.FILE}


def _refuse_foreign_wishes(chosen: SavedBackup, wishes: Wishes) -> None:
    """Raise BackupError for disks or changes of the definition that are not for the way."""
    if wishes.way is RestoreWay.BOOT_TEST and wishes.disks:
        raise BackupError("A boot test is of the whole backup", next_step="Name no disks; or make a clone of them.")
    targets = {disk.target for disk in chosen.disks}
    kept = wishes.way is RestoreWay.IN_PLACE and wishes.disks
    for change in wishes.changes:
        if change.kind is not ChangeKind.FILE:
            if kept:
                raise BackupError(
                    "Where some disks alone are put back, the guest's definition is kept",
                    cause=change.word,
                    next_step="Leave that out, or restore the whole guest.",
                )
            continue
        if wishes.way is not RestoreWay.IN_PLACE:
            raise BackupError("Only a restore in place puts a disk into a file instead", cause=change.word)
        if change.subject not in targets or not change.value.startswith("/") or change.value.endswith("/"):
            raise BackupError(
                "A disk that is restored becomes a file by its path",
                cause=change.word,
                next_step=f"Write it as file:{chosen.disks[0].target}=/PATH.",
            )


async def _present(
    host: Host, chosen: SavedBackup, wishes: Wishes, domains: tuple[DomainFacts, ...]
) -> tuple[str, dict[str, Disk]]:
    """The name of the guest that some disks are put back into, and its disks; raises BackupError where it has not."""
    guest = next((facts.name for facts in domains if facts.uuid == chosen.uuid), "")
    targets = [disk.target for disk in chosen.disks]
    if not guest:
        raise BackupError(
            f"{', '.join(targets)} cannot be put back into {chosen.guest}",
            cause="it is not on this host (any more)",
            next_step="Restore the whole guest, or disks of it to a path: --disk TARGET --to PATH.",
        )
    present = await present_disks(host, await host.stored_xml(chosen.uuid))
    refuse_unfit(guest, present, targets, _wanted_files(wishes))
    return guest, present


def _other_guest(wishes: Wishes, domains: tuple[DomainFacts, ...]) -> DomainFacts:
    found = [facts for facts in domains if wishes.attach in (facts.name, facts.uuid)]
    if not found:
        raise BackupError(f"There is no guest {wishes.attach}", next_step="See the guests with: qga-tui list")
    return found[0]


async def _free_targets(host: Host, other: DomainFacts) -> tuple[str, ...]:
    """The virtio names that neither of the guest's definitions uses."""
    used = {disk.target for disk in other.disks}
    if other.persistent:
        used |= set(disks_by_target(await host.stored_xml(other.uuid)))
    return tuple(f"vd{letter}" for letter in _LETTERS if f"vd{letter}" not in used)
