"""Bringing a whole guest back to its own disks, running or stopped, in both of its definitions.

There is one primitive: with QEMU there, paused is enough, an active commit and a pivot. So a stopped guest is started
with its processors stopped, merged, and put off again; nothing of it runs meanwhile. One that cannot be started, or is
denied the merge, is merged while it is off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from shlex import quote

from tui.backup.acts import resume, start_paused, suspend
from tui.backup.away import Absence, GuestAwayError, absence_of, gone_error
from tui.backup.chain import GuestView, Place, place_of, read_guest, with_base
from tui.backup.confinement import is_denial
from tui.backup.defining import define_as_it_is
from tui.backup.errors import NeedsRescueError
from tui.backup.journal import Entry, RunStage
from tui.backup.meanwhile import PAUSED_BY_IO_ERROR, is_detached
from tui.backup.merge import TITLE, DetachedDiskError, GuestStoppedError, Tick, merge_back
from tui.backup.merge_detached import merge_detached
from tui.backup.merge_off import merge_off
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.backup.reach import Reach
from tui.backup.session import HostSession, Patience
from tui.backup.tidy import delete_overlay
from tui.backup.whose_pause import guest_time, put_off_again, resume_if_ours
from tui.hosts.port import HostError, HostUnreachableError, NoSuchDomainError
from tui.model.guest import PowerState

Note = Callable[..., None]
"""Writes a stage with its details into the journal of the run: `note(stage, **details)`."""


@dataclass(frozen=True, slots=True)
class Homecoming:
    """How a guest came back: the disks whose overlay is proven to be merged, and what is worth saying."""

    merged: frozenset[str]
    remarks: tuple[str, ...] = ()


async def bring_home(
    session: HostSession,
    plan: BackupPlan,
    reach: Reach,
    tick: Tick,
    patience: Patience,
    note: Note,
    *,
    known: Collection[str] = (),
    settle: asyncio.Event | None = None,
    absence: Absence = Absence.NONE,
) -> Homecoming:
    """Merge every disk of the plan, then mend the stored definition and let a guest that ran out of room go on.

    `known` names disks that the journal proves to be merged; once `settle` is set, a running guest is paused until its
    disks are merged. `absence` is how the guest was seen to leave, if it was. Raises NeedsRescueError where a disk
    stays on its overlay, GuestAwayError among them where the guest is not here, and HostError.
    """
    try:
        return await _bring_home(_Merging(session, plan, tick, patience, note, absence), reach, known, settle)
    except GuestAwayError as error:
        # The hypervisor's word for it is lost once somebody tries to start the guest, or the daemon.
        note(RunStage.NOTICED, what="away", words=error.one_line(), absence=str(error.absence))
        raise
    except NoSuchDomainError as error:
        if absence is Absence.MIGRATED:
            raise GuestAwayError(plan, absence) from error
        raise gone_error(plan, error) from error


async def _bring_home(
    merging: _Merging, reach: Reach, known: Collection[str], settle: asyncio.Event | None
) -> Homecoming:
    session, plan, note = merging.session, merging.plan, merging.note
    pause = _Pause()
    settling = asyncio.create_task(pause.wait_for(settle, session, plan, note))
    remarks: tuple[str, ...] = ()
    try:
        await merging.run()
    except GuestStoppedError:
        remarks = await _merge_stopped(merging, reach)
    finally:
        remarks += await pause.end(settling, session, plan)
    remarks += await merging.merge_detached()
    remarks += await _mend_stored(session, plan, merging.merged)
    view = await read_guest(session, plan.uuid)
    if view.power is PowerState.PAUSED and view.power_reason == PAUSED_BY_IO_ERROR:
        await resume(session, plan.uuid)
    return Homecoming(frozenset(merging.merged | {*known}), remarks)


class _Pause:
    """A guest that is paused, on order, for the rest of its merge."""

    def __init__(self) -> None:
        self._begun = False
        self._paused_at_ns: int | None = None

    async def wait_for(self, settle: asyncio.Event | None, session: HostSession, plan: BackupPlan, note: Note) -> None:
        """Pause a running guest once that is ordered."""
        if settle is None:
            return
        await settle.wait()
        facts = await session.ask(lambda host: host.read_domain(plan.uuid))
        if facts.power is PowerState.RUNNING:
            note(RunStage.COMMITTING, settling=True)
            self._begun = True
            await suspend(session, plan.uuid)
            self._paused_at_ns = await guest_time(session, plan)
            note(RunStage.COMMITTING, settling=True, paused_at_ns=self._paused_at_ns)

    async def end(self, task: asyncio.Task[None], session: HostSession, plan: BackupPlan) -> tuple[str, ...]:
        """Let the guest go on, if it was this that paused it; returns what is worth saying."""
        if not self._begun:
            task.cancel()
            return ()
        await task
        return await resume_if_ours(session, plan, self._paused_at_ns)


def proven_merged(plan: BackupPlan, entries: Collection[Entry], view: GuestView) -> frozenset[str]:
    """The disks that a run's journal and the definition together prove to be merged.

    A pivot was announced while the stored definition named the overlay, and now the disk is on its base: nothing but
    the pivot changes both. Where the stored definition had been changed by hand, this proves nothing.
    """
    announced = {
        str(entry.details.get("target"))
        for entry in entries
        if entry.stage is RunStage.PIVOTING and entry.details.get("stored_is_overlay") is True
    }
    everything = any(entry.stage is RunStage.PIVOTED for entry in entries)
    on_base = {disk.target for disk in plan.disks if place_of(view.live.get(disk.target), disk) is Place.BASE}
    return frozenset(on_base if everything else announced & on_base)


async def refuse_unproven(plan: BackupPlan, reach: Reach, merged: Collection[str]) -> None:
    """Raise NeedsRescueError where an overlay may hold writes that are in no disk of the guest.

    So it is when somebody defined the guest back onto its base while it ran on the overlay, and it was then stopped.
    """
    doubtful = [
        disk.overlay for disk in plan.disks if disk.target not in merged and not await reach.holds_nothing(disk.overlay)
    ]
    if doubtful:
        raise NeedsRescueError(
            "The guest is off its overlay, but nothing proves that the overlay was merged",
            cause=f"{', '.join(doubtful)} may hold writes that its base lacks",
            next_step="If you merged it by hand, delete the file. If the definition was changed meanwhile, shut the "
            "guest down before it writes more, and look at both with qemu-img compare.",
        )


async def delete_overlays(
    session: HostSession, plan: BackupPlan, reach: Reach, merged: Collection[str]
) -> tuple[str, ...]:
    """Delete the overlays of the plan that are proven to hold nothing more; returns why others are still there."""
    remarks: list[str] = []
    for disk in plan.disks:
        proven = disk.target in merged or await reach.holds_nothing(disk.overlay)
        objections = await delete_overlay(session, plan, reach, disk, is_merged=proven)
        if objections:
            remarks.append(f"{disk.overlay} was not deleted: {', '.join(objections)}")
    return tuple(remarks)


@dataclass(slots=True)
class _Merging:
    """Merging a plan's disks in QEMU; `merged` names those that were seen to leave their overlays."""

    session: HostSession
    plan: BackupPlan
    tick: Tick
    patience: Patience
    note: Note
    absence: Absence = Absence.NONE
    merged: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Merge every disk that can be; raises NeedsRescueError where one cannot, GuestStoppedError included."""
        stuck: list[NeedsRescueError] = []
        for disk in self.plan.disks:
            try:
                if await merge_back(self.session, self.plan, disk, self.tick, self.patience, self._announce):
                    self.merged.add(disk.target)
            except (GuestStoppedError, GuestAwayError):
                raise
            except DetachedDiskError:
                # It is merged once the others are, in no guest.
                continue
            except NeedsRescueError as error:
                # The other disks are brought back all the same.
                stuck.append(error)
        if stuck:
            raise stuck[0]

    async def merge_detached(self) -> tuple[str, ...]:
        """Merge the disks that the guest has no longer; returns what is worth saying, raises NeedsRescueError."""
        live = (await read_guest(self.session, self.plan.uuid)).live
        remarks: list[str] = []
        for disk in self.plan.disks:
            if disk.target not in self.merged and is_detached(disk, live):
                remarks.append(await merge_detached(self.session, self.plan, disk, self.note))
                self.merged.add(disk.target)
        return tuple(remarks)

    def _announce(self, disk: PlannedDisk, stored: str) -> None:
        self.note(RunStage.PIVOTING, target=disk.target, stored_is_overlay=stored == disk.overlay)


async def _merge_stopped(merging: _Merging, reach: Reach) -> tuple[str, ...]:
    """Merge a guest that is off; returns what is worth saying."""
    session, plan = merging.session, merging.plan
    view = await read_guest(session, plan.uuid)
    if all(place_of(view.stored.get(disk.target), disk) is Place.BASE for disk in plan.disks):
        return ()
    absence = absence_of(view.power, view.power_reason, noted=merging.absence)
    if absence:
        raise GuestAwayError(plan, absence)
    await _refuse_what_cannot_start(session, plan, reach, view)
    merging.note(RunStage.REVIVING)
    try:
        return await _merge_revived(merging)
    except (HostError, NeedsRescueError) as error:
        if not _needs_no_qemu(error):
            raise
        stored = (await read_guest(session, plan.uuid)).stored
        disks = [disk for disk in plan.disks if place_of(stored.get(disk.target), disk) is Place.OVERLAY]
        remarks = await merge_off(session, plan, disks, error, merging.note)
        merging.merged |= {disk.target for disk in disks}
        return remarks


async def _merge_revived(merging: _Merging) -> tuple[str, ...]:
    await start_paused(merging.session, merging.plan.uuid)
    remarks: tuple[str, ...] = ()
    try:
        await merging.run()
    finally:
        remarks = await put_off_again(merging.session, merging.plan)
    return remarks


def _needs_no_qemu(error: HostError | NeedsRescueError) -> bool:
    """Whether a guest that is off can be helped without its QEMU: it cannot be started, ended at once, or is denied."""
    if isinstance(error, HostError):
        return not isinstance(error, HostUnreachableError)
    return isinstance(error, GuestStoppedError) or is_denial(error.original)


async def _refuse_what_cannot_start(session: HostSession, plan: BackupPlan, reach: Reach, view: GuestView) -> None:
    if await session.ask(lambda host: host.has_managed_save(plan.uuid)):
        raise NeedsRescueError(
            TITLE,
            cause="the guest is off with its memory saved, which fits its overlays alone",
            next_step=f"Start it (virsh -c {quote(plan.uri)} start {quote(plan.guest)}), then rescue it again.",
        )
    strange = [
        disk.target
        for disk in plan.disks
        if place_of(view.stored.get(disk.target), disk) not in (Place.BASE, Place.OVERLAY)
        and not is_detached(disk, view.stored)
    ]
    if strange:
        raise NeedsRescueError(
            TITLE,
            cause=f"the guest is off, and its definition names another image for {', '.join(strange)}",
            next_step="Delete nothing. Put the overlay's path back (virsh edit), then rescue the guest again.",
        )
    on_overlay = [d.overlay for d in plan.disks if place_of(view.stored.get(d.target), d) is Place.OVERLAY]
    missing = [path for path in on_overlay if not await reach.exists(path)]
    if missing:
        raise NeedsRescueError(
            TITLE,
            cause=f"{', '.join(missing)} is gone, with what was written since the snapshot",
            next_step="Find that file before the guest is started; without it, the base is the last state there is.",
        )


async def _mend_stored(session: HostSession, plan: BackupPlan, merged: Collection[str]) -> tuple[str, ...]:
    """Make the stored definition name the bases where it still names overlays; others' changes are told, not undone."""
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if not facts.persistent:
        return ()
    view = await read_guest(session, plan.uuid)
    wrong = [disk for disk in plan.disks if (there := view.stored.get(disk.target)) and there.source == disk.overlay]
    if wrong and all(
        place_of(view.live.get(disk.target), disk) is Place.BASE
        or (disk.target in merged and is_detached(disk, view.live))
        for disk in wrong
    ):
        stored = await session.ask(lambda host: host.stored_xml(plan.uuid, secrets=True))
        await session.ask(lambda host: define_as_it_is(host, with_base(stored, wrong)))
        view = await read_guest(session, plan.uuid)
    remarks: list[str] = []
    for disk in plan.disks:
        there = view.stored.get(disk.target)
        if is_detached(disk, view.live) and is_detached(disk, view.stored):
            continue
        if there is None or place_of(there, disk) is not Place.BASE:
            names = there.source if there is not None else "no image"
            remarks.append(f"the stored definition names {names} for {disk.target}, not {disk.base}")
    return tuple(remarks)
