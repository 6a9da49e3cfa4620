"""The beginning of a run: look once more whether it may begin, and save everything about the guest but its disks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from tui.backup.boot_files import BootFile, keep_boot_files
from tui.backup.checks import Verdict
from tui.backup.claim import clear_mark
from tui.backup.errors import BackupError
from tui.backup.evidence import gather
from tui.backup.folder import ResultFolder, result_folder
from tui.backup.manifest import utc_now
from tui.backup.nvram import Nvram, look_at_nvram
from tui.backup.plan import BackupPlan
from tui.backup.preflight import checks_of, lacking, red_list
from tui.backup.reach import Reach
from tui.backup.session import HostSession
from tui.backup.target import Target, Tell
from tui.backup.tpm import Tpm
from tui.hosts.port import HostVersions
from tui.model.guest import PowerState


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """The guest as it was before the run: definitions with secrets and without our mark, and what belongs to them."""

    versions: HostVersions
    stored_xml: str
    live_xml: str
    snapshots: tuple[str, ...]
    checkpoints: tuple[str, ...]
    autostart: bool
    paused: bool
    off: bool = False
    nvram: Nvram | None = None
    tpm: Tpm | None = None
    missing: tuple[str, ...] = ()
    """What the backup is without though it holds something, as it was accepted."""
    lacking: tuple[str, ...] = ()
    """The same with the disks that are left out for any reason."""
    boot_files: tuple[BootFile, ...] = ()
    started: str = ""
    """The UTC second at which the run began."""


async def inspect(session: HostSession, plan: BackupPlan, reach: Reach) -> GuestRecord:
    """Run the checks and read the guest's definitions.

    Takes the mark of a run that died off the guest first. Raises BackupError where a check fails, and HostError
    and OSError.
    """
    started = utc_now()
    evidence = await session.ask(lambda host: gather(host, plan, reach))
    failed = [check for check in checks_of(plan, evidence) if check.verdict is Verdict.FAILED]
    if failed:
        raise BackupError(
            "The backup may not begin",
            cause="; ".join(f"{check.title}: {check.evidence}" for check in failed),
            next_step=" ".join(check.next_step for check in failed if check.next_step),
        )
    if evidence.mark is not None:
        await clear_mark(session, plan.uuid, evidence.mark)
    uuid = plan.uuid
    return GuestRecord(
        versions=await session.ask(lambda host: host.versions()),
        stored_xml=await session.ask(lambda host: host.stored_xml(uuid, secrets=True)),
        live_xml=await session.ask(lambda host: host.live_xml(uuid, secrets=True)),
        snapshots=await session.ask(lambda host: host.snapshot_xmls(uuid)),
        checkpoints=evidence.checkpoints,
        autostart=await session.ask(lambda host: host.autostart(uuid)),
        paused=evidence.facts.power is PowerState.PAUSED,
        off=evidence.facts.power is PowerState.OFF,
        nvram=await asyncio.to_thread(look_at_nvram, evidence.nvram) if evidence.nvram_readable else None,
        tpm=evidence.tpm.state if evidence.tpm is not None else None,
        missing=tuple(f"{name}: {reason}" for name, reason in red_list(plan, evidence).items()),
        lacking=tuple(f"{name}: {reason}" for name, reason in lacking(plan, evidence).items()),
        boot_files=evidence.boot_files,
        started=started,
    )


async def save_record(plan: BackupPlan, record: GuestRecord, target: Target, tell: Tell) -> ResultFolder:
    """Make the result's folder and write the definitions into it; raises OSError and BackupError."""
    folder = result_folder(plan)
    await target.do(folder.create, tell)
    texts = {"vm.xml": record.stored_xml, "vm.live.xml": record.live_xml}
    texts |= {f"snapshots/{number:03d}.xml": xml for number, xml in enumerate(record.snapshots, start=1)}
    for name, text in texts.items():
        await target.do(partial(folder.write, name, text), tell)
    return folder


async def keep_kernel(folder: ResultFolder, record: GuestRecord, target: Target, tell: Tell) -> GuestRecord:
    """Copy what the guest starts from besides its disks; returns the record with what came of it.

    Raises OSError and BackupError.
    """
    kept = await target.do(partial(keep_boot_files, folder, record.boot_files), tell)
    return replace(record, boot_files=kept)
