"""A plan for one guest, with the checks that speak for and against it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.below import with_chains
from tui.backup.checks import Check, Verdict
from tui.backup.copying import reading_rate
from tui.backup.equivalents import PlanStep, plan_commands
from tui.backup.errors import BackupError
from tui.backup.evidence import gather
from tui.backup.plan import (
    BackupPlan,
    DiskKind,
    ImageFormat,
    PlannedDisk,
    QuiescePolicy,
    Source,
    image_paths,
    new_run_id,
    overlay_beside,
    read_plan,
    stamp_now,
)
from tui.backup.preflight import RED_TITLE, checks_of, red_list
from tui.backup.preflight_time import hole_bytes, time_checks
from tui.backup.runs import active_run
from tui.backup.selection import choices_of
from tui.backup.source import SourceWish, choose_source, passing_reach
from tui.backup.sparse_sum import zeros_rate
from tui.hosts.port import Host
from tui.hosts.same_files import why_not_here
from tui.model.disk import Disk
from tui.model.guest import DomainFacts, PowerState
from tui.model.quantities import duration, size

IMAGES = "/var/lib/libvirt/images"
MEASURING_S = 0.5
"""Seconds that a plan may take to learn how fast its first disk is read."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a backup would do, whether it may, about how many bytes it would copy, and what it would be without.

    `rate_bytes_s` is how fast its first disk is read and summed up now, 0 where that is not known; `holes_s` the
    seconds that the sums of its holes take beside.
    """

    plan: BackupPlan
    checks: tuple[Check, ...]
    steps: tuple[PlanStep, ...]
    estimated_bytes: int
    red: tuple[str, ...] = ()
    rate_bytes_s: float = 0.0
    holes_s: float = 0.0

    @property
    def estimated_s(self) -> float | None:
        """Seconds to copy all disks and to read the copies again; None where no image could be read for it."""
        if self.rate_bytes_s <= 0:
            return None
        copy_rate = min(self.rate_bytes_s, self.plan.limit_bytes_s or self.rate_bytes_s)
        return self.estimated_bytes / copy_rate + self.estimated_bytes / self.rate_bytes_s + self.holes_s

    @property
    def size_words(self) -> str:
        """How much there is to do and how long that takes, as far as that can be told beforehand."""
        words = f"about {size(self.estimated_bytes)} to copy"
        if self.estimated_s is None:
            return words
        return f"{words}, about {duration(self.estimated_s)} at {size(self.rate_bytes_s)}/s (measured now)"

    @property
    def waits_for_acceptance(self) -> bool:
        """Whether nothing forbids the backup but what it would be without, listed in `red`."""
        failed = [check for check in self.checks if check.verdict is Verdict.FAILED]
        return bool(failed) and all(check.title == RED_TITLE for check in failed)

    @property
    def may_begin(self) -> bool:
        """Whether no check forbids the backup."""
        return all(check.verdict is not Verdict.FAILED for check in self.checks)


async def plan_for(
    host: Host, facts: DomainFacts, target: Path, disks: Collection[str] | None, quiesce: QuiescePolicy
) -> BackupPlan:
    """A plan for the disks named in `disks`, or for all that can be backed up.

    Raises BackupError where a named disk cannot be backed up, or none is left.
    """
    stamp = stamp_now()
    chosen: list[PlannedDisk] = []
    refused: dict[str, str] = {}
    for choice in choices_of(facts.disks):
        name = choice.disk.target
        if choice.possible and (disks is None or name in disks):
            chosen.append(await _planned(host, choice.disk, stamp, _overlay_folder(facts)))
        elif disks is not None and name in disks:
            refused[name] = choice.reason
    unknown = set(disks or ()) - {disk.target for disk in facts.disks}
    if refused or unknown or not chosen:
        words = [f"{name}: {reason}" for name, reason in refused.items()]
        words += [f"{name}: the guest has no such disk" for name in sorted(unknown)]
        words = words or [f"{choice.disk.target}: {choice.reason}" for choice in choices_of(facts.disks)]
        raise BackupError(
            "There is no disk to back up" if not chosen else "Not all of these disks can be backed up",
            cause="; ".join(words) or "the guest has no disk",
            next_step="Choose other disks.",
        )
    targets = {disk.target for disk in chosen}
    plan = BackupPlan(
        run_id=new_run_id(),
        stamp=stamp,
        host=host.name,
        uri=host.uri,
        uuid=facts.uuid,
        guest=facts.name,
        target=str(target),
        disks=tuple(chosen),
        left_out=tuple(disk.target for disk in facts.disks if disk.target not in targets),
        quiesce=quiesce,
    )
    return read_plan(plan.to_json())


async def _planned(host: Host, disk: Disk, stamp: str, folder: str) -> PlannedDisk:
    kind = DiskKind(disk.source_type)
    base = disk.source
    if kind is DiskKind.VOLUME:
        pool, _, volume = disk.source.partition("/")
        base = await host.volume_path(pool, volume)
    overlay = overlay_beside(base, stamp, disk.target, folder if kind is DiskKind.BLOCK else "")
    named = disk.source if kind is DiskKind.VOLUME else ""
    return PlannedDisk(disk.target, base, ImageFormat(disk.format), overlay, kind, named, disk.backing)


def _overlay_folder(facts: DomainFacts) -> str:
    """Where a block device's overlay goes: beside the guest's first image that is a file, else libvirt's own folder."""
    files = (
        disk.source for disk in facts.disks if disk.source_type == "file" and disk.device == "disk" and disk.source
    )
    first = next(files, "")
    return str(Path(first).parent) if first else IMAGES


async def propose(
    host: Host,
    facts: DomainFacts,
    target: Path,
    disks: Collection[str] | None = None,
    *,
    quiesce: QuiescePolicy = QuiescePolicy.PREFERRED,
    limit_bytes_s: int = 0,
    compact: bool = False,
    accepted: tuple[str, ...] = (),
    source: SourceWish = SourceWish.AUTO,
) -> Proposal:
    """Plan a backup of the guest and look whether it may begin; changes nothing on the guest.

    `target` is an absolute folder, `disks` the targets to take, None for all that are possible. Raises BackupError
    where no plan can be made or a backup runs already, and HostError.
    """
    running = await asyncio.to_thread(active_run, facts.uuid)
    if running is not None:
        raise BackupError(
            "A backup or restore of this guest is running, or waits for its turn",
            cause=f"run {running.plan.run_id}",
            next_step="Wait for it to end, or cancel it.",
        )
    plan = await plan_for(host, facts, target, disks, quiesce)
    plan = replace(plan, limit_bytes_s=limit_bytes_s, compact=compact, accepted=accepted)
    plan = await (_resting if facts.power is PowerState.OFF else _sourced)(host, plan, source)
    reach = passing_reach(host, plan)
    try:
        evidence = await gather(host, plan, reach)
    finally:
        await reach.close()
    zeros_bytes_s = await asyncio.to_thread(zeros_rate)
    return Proposal(
        plan=plan,
        checks=(*checks_of(plan, evidence), *time_checks(plan, evidence, zeros_bytes_s)),
        steps=plan_commands(plan, facts.power),
        estimated_bytes=sum(image.data_bytes for image in evidence.images),
        red=tuple(red_list(plan, evidence)),
        rate_bytes_s=await asyncio.to_thread(_measured_rate, plan),
        holes_s=hole_bytes(plan, evidence) / zeros_bytes_s,
    )


async def _sourced(host: Host, plan: BackupPlan, wish: SourceWish) -> BackupPlan:
    """The plan with the way to its images."""
    elsewhere = await why_not_here(host, image_paths(plan))
    way, why = await asyncio.to_thread(choose_source, wish, elsewhere, plan.disks)
    return replace(plan, source=way, source_reason=why)


async def _resting(host: Host, plan: BackupPlan, wish: SourceWish) -> BackupPlan:
    """The same for a guest that is off, whose images tell what they lie on; that may have to be reached another way."""
    planned = await _sourced(host, plan, wish)
    for _ in Source:
        way, reach = planned.source, passing_reach(host, planned)
        try:
            chained = await with_chains(replace(planned, disks=plan.disks), reach)
        finally:
            await reach.close()
        planned = await _sourced(host, chained, wish)
        if planned.source is way:
            break
    return planned


def _measured_rate(plan: BackupPlan) -> float:
    if plan.source is not Source.FILE:
        return 0.0
    try:
        return reading_rate(plan.disks[0].base, MEASURING_S)
    except OSError:
        # Why it cannot be read is among the checks.
        return 0.0
