"""A plan for one guest, with the checks that speak for and against it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.below import with_chains
from tui.backup.checks import Check, Verdict
from tui.backup.copying import reading_rate
from tui.backup.equivalents import PlanStep, plan_commands
from tui.backup.errors import BackupError
from tui.backup.evidence import gather
from tui.backup.fitness import without_unfit
from tui.backup.identify import identified, twins
from tui.backup.overlay_place import with_overlays
from tui.backup.plan import (
    BackupPlan,
    PlannedDisk,
    QuiescePolicy,
    Source,
    Unfit,
    image_paths,
    new_run_id,
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
from tui.hosts.same_files import are_here, why_not_here
from tui.model.guest import DomainFacts, PowerState
from tui.model.quantities import duration, size

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
    host: Host,
    facts: DomainFacts,
    target: Path,
    disks: Collection[str] | None,
    quiesce: QuiescePolicy,
    overlays: Path | None = None,
) -> BackupPlan:
    """A plan for the disks named in `disks`, or for all that can be backed up; `overlays` is a folder for overlays.

    Raises BackupError where a named disk cannot be backed up, none is left, or the overlays may not lie there.
    """
    found: list[PlannedDisk] = []
    unfit: dict[str, str] = {}
    choices = choices_of(facts.disks, is_off=facts.power is PowerState.OFF)
    for choice in choices:
        if not choice.possible or (disks is not None and choice.disk.target not in disks):
            continue
        disk = await identified(host, choice.disk)
        if isinstance(disk, Unfit):
            unfit[disk.target] = disk.reason
        else:
            found.append(disk)
    others = {disk.target: disk for disk in facts.disks if disk.target not in {each.target for each in found}}
    chosen = str(overlays) if overlays is not None else ""
    is_here = await are_here(host, [*(disk.base for disk in found), *([chosen] if chosen else [])])
    unfit |= await twins(found, others, is_here=is_here)
    fit = [disk for disk in found if disk.target not in unfit]
    _refuse_unfit(facts, disks, unfit, something_is_left=bool(fit))
    stamp = stamp_now()
    placed = await with_overlays(host, facts, fit, stamp, chosen, is_here=is_here)
    targets = {disk.target for disk in fit}
    plan = BackupPlan(
        run_id=new_run_id(),
        stamp=stamp,
        host=host.name,
        uri=host.uri,
        uuid=facts.uuid,
        guest=facts.name,
        target=str(target),
        disks=placed,
        left_out=tuple(disk.target for disk in facts.disks if disk.target not in targets),
        quiesce=quiesce,
        unfit=tuple(Unfit(target, reason) for target, reason in unfit.items()),
    )
    return read_plan(plan.to_json())


def _refuse_unfit(
    facts: DomainFacts, wanted: Collection[str] | None, unfit: Mapping[str, str], *, something_is_left: bool
) -> None:
    """Raise BackupError where a disk that was asked for by name cannot be backed up, or none can."""
    choices = choices_of(facts.disks, is_off=facts.power is PowerState.OFF)
    reasons = {choice.disk.target: choice.reason for choice in choices if choice.reason} | dict(unfit)
    refused = {name: reasons[name] for name in wanted or () if name in reasons}
    unknown = set(wanted or ()) - {disk.target for disk in facts.disks}
    if something_is_left and not refused and not unknown:
        return
    words = [f"{name}: {reason}" for name, reason in refused.items()]
    words += [f"{name}: the guest has no such disk" for name in sorted(unknown)]
    words = words or [f"{name}: {reason}" for name, reason in reasons.items()]
    raise BackupError(
        "Not all of these disks can be backed up" if something_is_left else "There is no disk to back up",
        cause="; ".join(words) or "the guest has no disk",
        next_step="Choose other disks.",
    )


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
    overlays: Path | None = None,
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
    plan = await plan_for(host, facts, target, disks, quiesce, overlays)
    plan = replace(plan, limit_bytes_s=limit_bytes_s, compact=compact, accepted=accepted)
    plan = await (_resting if facts.power is PowerState.OFF else _sourced)(host, plan, source)
    looked_at = await _saveable(host, facts, plan, overlays)
    # Disks that are left out have no say in the way to the images of the others.
    plan = await _sourced(host, looked_at, source) if looked_at.unfit != plan.unfit else looked_at
    _refuse_unfit(facts, disks, {each.target: each.reason for each in plan.unfit}, something_is_left=bool(plan.disks))
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


async def _saveable(host: Host, facts: DomainFacts, plan: BackupPlan, overlays: Path | None) -> BackupPlan:
    """The plan with the disks whose images are all of them; the overlay of what turned out a device lies elsewhere."""
    reach = passing_reach(host, plan)
    try:
        fit = await without_unfit(plan, reach)
    finally:
        await reach.close()
    if {disk.target for disk in fit.disks if disk.is_device} <= {d.target for d in plan.disks if d.is_device}:
        return fit
    chosen = str(overlays) if overlays is not None else ""
    is_here = await are_here(host, [*image_paths(fit), *([chosen] if chosen else [])])
    return replace(fit, disks=await with_overlays(host, facts, fit.disks, plan.stamp, chosen, is_here=is_here))


async def _resting(host: Host, plan: BackupPlan, wish: SourceWish) -> BackupPlan:
    """The same for a guest that is off, whose images tell what they lie on; that may have to be reached another way."""
    planned = await _sourced(host, plan, wish)
    for _ in Source:
        way, reach = planned.source, passing_reach(host, planned)
        try:
            chained = await with_chains(
                replace(planned, disks=plan.disks, left_out=plan.left_out, unfit=plan.unfit), reach
            )
        finally:
            await reach.close()
        if not chained.disks:
            return chained
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
