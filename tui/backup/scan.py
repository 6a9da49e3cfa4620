"""Looking for what backups left behind on a host: read-only, and in the order of truth.

The definitions come first, then the mark in the metadata, then the journals, then the names of files.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from tui.agent.errors import AgentError
from tui.backup.away import absence_of, noted_absence
from tui.backup.chain import GuestView, Place, disks_by_target, names_path, place_of
from tui.backup.disk_set import with_unasked
from tui.backup.found_plan import NO_RUN, found_plan
from tui.backup.homecoming import proven_merged
from tui.backup.image_names import plain
from tui.backup.journal import Entry, RunStage, read_journal
from tui.backup.leftovers import DiskEvidence, GuestEvidence, Leftover
from tui.backup.liveness import Standing, standing_of
from tui.backup.mark import Owner, read_mark
from tui.backup.meaning import leftover_of, restore_leftover
from tui.backup.overlays import look_at_overlays, visible
from tui.backup.plan import PlannedDisk, is_overlay_name
from tui.backup.quiesce import is_frozen
from tui.backup.restore.settle import restore_evidence
from tui.backup.runs import AnyRun, Run, kept_definition, list_restores, list_runs, worker_pid
from tui.backup.runstate import EXIT_RESCUE
from tui.backup.strays import find_strays
from tui.backup.users import image_names
from tui.hosts.lanes import apart
from tui.hosts.port import Host, NoSuchDomainError
from tui.model.disk import Disk
from tui.model.guest import DomainFacts, PowerState


async def find_leftovers(host: Host, guests: Iterable[str] = ()) -> tuple[Leftover, ...]:
    """Everything left behind on a host, or on the guests named by name or UUID, the urgent first. Raises HostError."""
    wanted = frozenset(guests)
    domains = await host.list_domains()
    runs = await asyncio.to_thread(list_runs)
    stored = {facts.uuid: await _stored(host, facts) for facts in domains}
    named = {facts.uuid: await image_names(host, (*facts.disks, *stored[facts.uuid].values())) for facts in domains}
    found: list[Leftover] = []
    for facts in domains:
        if wanted and not wanted & {facts.name, facts.uuid}:
            continue
        try:
            users = {each.name: named[each.uuid] for each in domains if each.uuid != facts.uuid}
            evidence = await _evidence(host, facts, stored[facts.uuid], users, runs)
        except NoSuchDomainError:
            continue
        leftover = leftover_of(evidence) if evidence is not None else None
        if leftover is not None:
            found.append(leftover)
    found += await apart(_of_guests_that_are_gone, host, domains, runs, wanted)
    known = {
        each.disk.overlay for one in found if isinstance(one.evidence, GuestEvidence) for each in one.evidence.disks
    }
    strays = await find_strays(host, named, known)
    found += [
        leftover
        for each in strays
        if not wanted or wanted & {each.plan.guest, each.plan.uuid}
        if (leftover := leftover_of(each)) is not None
    ]
    found += await apart(_of_restores, host.uri, wanted)
    return tuple(sorted(found, key=lambda each: ["now", "soon", "whenever"].index(each.urgency)))


async def _stored(host: Host, facts: DomainFacts) -> dict[str, Disk]:
    if not facts.persistent:
        return {}
    try:
        return disks_by_target(await host.stored_xml(facts.uuid))
    except NoSuchDomainError:
        return {}


async def _evidence(
    host: Host,
    facts: DomainFacts,
    stored: dict[str, Disk],
    users: dict[str, frozenset[str]],
    runs: tuple[Run, ...],
) -> GuestEvidence | None:
    """`users` are the other guests, with what their images are called."""
    mark = await host.run_metadata(facts.uuid)
    owner = read_mark(mark)
    # Images may lie on a server that never answers: looks at their folders hold up nobody but this scan.
    run = await apart(_run_of, host.uri, facts, owner, runs)
    plan = with_unasked(run.plan, facts.disks) if run is not None else await found_plan(host, facts, stored, owner)
    if plan is None:
        return None
    is_ours = run is not None or _names_a_run(owner) or all(is_overlay_name(disk.overlay) for disk in plan.disks)
    worker, entries, is_open = await asyncio.to_thread(_record_of, run)
    standing = await asyncio.to_thread(standing_of, owner)
    is_quiet = worker is None and standing is not Standing.ALIVE
    asks_agent = is_ours and is_quiet and facts.power is PowerState.RUNNING
    snapshots = await host.snapshot_xmls(facts.uuid)
    overlays = await look_at_overlays(host, plan, may_ask=is_ours and is_quiet)
    live = {disk.target: disk for disk in facts.disks}
    merged = proven_merged(plan, entries, GuestView(facts.power, facts.power_reason, live, stored))
    return GuestEvidence(
        plan=plan,
        power=facts.power,
        power_reason=facts.power_reason,
        is_ours=is_ours,
        disks=tuple(
            replace(
                _disk_evidence(disk, facts, stored, users, snapshots, overlay_exists=disk.target in overlays.there),
                is_proven=disk.target in merged | overlays.empty,
            )
            for disk in plan.disks
        ),
        worker=worker,
        stage=next((entry.stage for entry in reversed(entries) if entry.stage is not RunStage.NOTICED), ""),
        absence=absence_of(facts.power, facts.power_reason, entries),
        is_marked=mark is not None,
        is_open=is_open,
        frozen=asks_agent and await _is_frozen(host, facts.uuid),
        managed_save=is_ours and facts.power is PowerState.OFF and await host.has_managed_save(facts.uuid),
        mark=mark,
        owner=owner,
        standing=standing,
        is_own_run=_is_own(host.uri, run, owner, standing),
    )


def _names_a_run(owner: Owner | None) -> bool:
    return owner is not None and owner.run_id != NO_RUN


def _is_own(uri: str, run: Run | None, owner: Owner | None, standing: Standing) -> bool:
    """Whether a run is this account's on this hypervisor, so that its journal tells whether its worker lives.

    It does not where another machine has signed the mark: there the same account, or another, took the run over.
    """
    if run is None or run.plan.uri != uri:
        return False
    return owner is None or not owner.is_signed or standing is Standing.GONE


def needs_end(run: AnyRun) -> bool:
    """Whether a run's journal was begun and tells no good end; its worker may still be at it."""
    return _is_unfinished(read_journal(run.folder))


def _is_unfinished(entries: Sequence[Entry]) -> bool:
    if not entries:
        return False
    last = next((entry for entry in reversed(entries) if entry.stage is not RunStage.NOTICED), entries[-1])
    if last.stage in (RunStage.DONE, RunStage.UNDONE):
        return False
    return last.stage is not RunStage.FAILED or last.details.get("exit_code") == EXIT_RESCUE


def _run_of(uri: str, facts: DomainFacts, owner: Owner | None, runs: tuple[Run, ...]) -> Run | None:
    """The run that the guest's state is of: the one its overlays or its mark name, else one of its host without an end.

    A guest of the same UUID on another host, a standby or what a migration left, is another guest.
    """
    of_guest = [run for run in runs if run.plan.uuid == facts.uuid]
    of_host = [run for run in of_guest if run.plan.uri == uri]
    sources = {disk.source for disk in facts.disks}
    # Each is looked at only where the ones before tell nothing: the last one touches the folders of images.
    ways = (
        (run for run in of_guest if sources & {disk.overlay for disk in run.plan.disks}),
        (run for run in of_guest if owner is not None and run.plan.run_id == owner.run_id),
        (run for run in of_host if needs_end(run)),
        (run for run in of_host if visible(run.plan)),
    )
    return next(chain.from_iterable(ways), None)


def _record_of(run: Run | None) -> tuple[int | None, tuple[Entry, ...], bool]:
    """The worker's process, the journal, and whether that tells no good end; blocks."""
    if run is None:
        return None, (), False
    worker = worker_pid(run)
    entries = read_journal(run.folder)
    return worker, entries, _is_unfinished(entries)


def _disk_evidence(
    disk: PlannedDisk,
    facts: DomainFacts,
    stored: dict[str, Disk],
    users: dict[str, frozenset[str]],
    snapshots: tuple[str, ...],
    *,
    overlay_exists: bool,
) -> DiskEvidence:
    live = next((there for there in facts.disks if there.target == disk.target), None)
    own = stored.get(disk.target)
    place = place_of(live, disk)
    known = {*disk.names, *map(plain, disk.names)}
    return DiskEvidence(
        disk=disk,
        place=place,
        stored_place=place_of(own, disk) if facts.persistent else place,
        overlay_exists=overlay_exists,
        listed_by=tuple("snapshot" for xml in snapshots if names_path(xml, disk.overlay)),
        base_users=tuple(name for name, images in users.items() if not images.isdisjoint(known)),
        switched_by_libvirt=own is not None and bool(own.backing),
    )


async def _is_frozen(host: Host, uuid: str) -> bool:
    """What the agent says; one that does not answer cannot be thawed by us either."""
    try:
        return await is_frozen(host.probe_line(uuid))
    except AgentError:
        return False


def _of_restores(uri: str, wanted: frozenset[str]) -> list[Leftover]:
    of_host = (run for run in list_restores() if run.plan.uri == uri)
    named = (run for run in of_host if not wanted or wanted & {run.plan.guest, run.plan.uuid})
    return [restore_leftover(restore_evidence(run, worker_pid(run))) for run in named if needs_end(run)]


def _of_guests_that_are_gone(
    host: Host, domains: tuple[DomainFacts, ...], runs: tuple[Run, ...], wanted: frozenset[str]
) -> list[Leftover]:
    there = {facts.uuid for facts in domains}
    found: list[Leftover] = []
    for run in runs:
        plan = run.plan
        if plan.uuid in there or plan.uri != host.uri or (wanted and not wanted & {plan.guest, plan.uuid}):
            continue
        if worker_pid(run) is not None or not needs_end(run):
            continue
        disks = tuple(
            DiskEvidence(disk, Place.ELSEWHERE, Place.ELSEWHERE, os.path.lexists(disk.overlay)) for disk in plan.disks
        )
        kept = kept_definition(run)
        evidence = GuestEvidence(
            plan,
            PowerState.OFF,
            "",
            is_ours=True,
            disks=disks,
            is_gone=True,
            definition=str(kept) if kept else "",
            absence=noted_absence(read_journal(run.folder)),
        )
        leftover = leftover_of(evidence)
        if leftover is not None:
            found.append(leftover)
    return found
