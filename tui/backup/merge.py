"""Bringing a disk back from its overlay to its base: commit, wait for ready, pivot, each step chosen by what is there.

The loop knows no history, so it is also what finishes the work of a run that died.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from tui.backup.away import GuestAwayError, absence_of
from tui.backup.by_hand import merge_running, virsh
from tui.backup.chain import GuestView, Place, place_of, read_guest
from tui.backup.confinement import confinement_of, denial_advice
from tui.backup.device_room import enlarge_advice, is_full_device
from tui.backup.errors import NeedsRescueError
from tui.backup.image_users import other_users
from tui.backup.meanwhile import is_detached
from tui.backup.plan import BackupPlan, PlannedDisk, Source
from tui.backup.room import is_full
from tui.backup.session import HostSession, Patience
from tui.hosts.port import HostError, HostUnreachableError, NotReadyToPivotError
from tui.model.disk import Disk
from tui.model.guest import PowerState

TITLE = "The guest could not be brought back to its own disk"
POLL_S = 1.0
COMMIT_TRIES = 3
PIVOT_TRIES = 5
_OFF_INSTEAD = "Or shut the guest down and rescue it then: qemu-img merges what QEMU may not."

Tick = Callable[[str, int, int, str], None]
"""Takes a disk's target, bytes merged, bytes to merge, and what the merge waits for, empty where it does not."""
Announce = Callable[[PlannedDisk, str], None]
"""Hears of a pivot before it is asked for: the disk, and the image that the stored definition names for it."""


class GuestStoppedError(NeedsRescueError):
    """There is no running guest any more in which its disks could be merged."""


class DetachedDiskError(NeedsRescueError):
    """The guest runs, and has the disk no longer."""


@dataclass(slots=True)
class _Effort:
    """What has been tried on one disk, and when the commit last moved (monotonic seconds)."""

    commits: int = 0
    pivots: int = 0
    position: tuple[int, int] = (-1, -1)
    moved_at: float = 0.0
    off_since: float | None = None
    last_error: str = ""
    refusal: HostError | None = None
    full_since: float | None = None


async def merge_back(
    session: HostSession, plan: BackupPlan, disk: PlannedDisk, tick: Tick, patience: Patience, announce: Announce
) -> bool:
    """Return when the running definition names the base and no mirror; raises NeedsRescueError when it will not.

    True where the disk was seen to leave its overlay; False where it was on its base from the first look.
    """
    effort = _Effort(moved_at=monotonic())
    merged = False
    while True:
        view = await read_guest(session, plan.uuid)
        if _is_off(view, effort, patience, plan, disk):
            await session.wait_for_news(POLL_S)
            continue
        place = place_of(view.live.get(disk.target), disk)
        if place is Place.BASE:
            return merged
        if place is Place.ELSEWHERE and is_detached(disk, view.live):
            raise DetachedDiskError(TITLE, cause=f"disk {disk.target} was detached", next_step=_next_step(plan, disk))
        if place is Place.ELSEWHERE:
            raise _rescue(_where(view.live.get(disk.target), disk), plan, disk)
        if place is Place.OVERLAY and await _waits_for_room(plan, disk, effort, tick, patience):
            await session.wait_for_news(POLL_S)
            continue
        merged = place is Place.READY
        if merged:
            stored = view.stored.get(disk.target)
            announce(disk, stored.source if stored is not None else "")
        await _push(session, plan, disk, place, effort)
        if place is not Place.READY or effort.last_error:
            await _watch(session, plan, disk, effort, tick, patience)


async def _push(session: HostSession, plan: BackupPlan, disk: PlannedDisk, place: Place, effort: _Effort) -> None:
    """Do what `place` asks for; errors are kept, for the next look at the definition tells what they meant."""
    effort.last_error = ""
    try:
        if place is Place.OVERLAY:
            if effort.commits >= COMMIT_TRIES:
                raise await _given_up(session, plan, disk, f"failed {effort.commits} times", effort)
            effort.commits, effort.refusal = effort.commits + 1, None
            await _refuse_shared(session, plan, disk)
            await session.host.commit_active(plan.uuid, disk.target)
        elif place is Place.READY:
            if effort.pivots >= PIVOT_TRIES:
                raise _rescue(f"the pivot of disk {disk.target} failed {effort.pivots} times", plan, disk)
            await session.host.pivot(plan.uuid, disk.target)
    except (NotReadyToPivotError, HostUnreachableError) as error:
        # Neither tells anything of the job; the session reconnects at the next question.
        effort.commits -= place is Place.OVERLAY
        effort.last_error = error.one_line()
    except HostError as error:
        effort.pivots += place is Place.READY
        effort.last_error, effort.refusal = error.one_line(), error


async def _refuse_shared(session: HostSession, plan: BackupPlan, disk: PlannedDisk) -> None:
    """Raise NeedsRescueError where another guest lies on the base, as a clone that was made of it meanwhile."""
    users = await other_users(session, plan, disk.names)
    if users:
        raise NeedsRescueError(
            TITLE,
            cause=f"{', '.join(users)} uses {disk.base}, too: a merge would change it under that guest",
            next_step=f"Delete nothing. Give {users[0]} an image of its own (qemu-img convert, or virsh blockpull "
            "while it runs), then rescue this guest.",
        )


def _where(there: Disk | None, disk: PlannedDisk) -> str:
    """What is amiss with a disk that is on neither of its images."""
    if there is not None and disk.overlay in there.backing:
        return f"disk {disk.target} is on {there.source}, which another program laid on its overlay: merge that first"
    return f"disk {disk.target} is on an image this backup does not know"


async def _waits_for_room(plan: BackupPlan, disk: PlannedDisk, effort: _Effort, tick: Tick, patience: Patience) -> bool:
    """Whether a commit that began and failed is to wait: its base has no room, and the guest can go on meanwhile."""
    if not effort.commits or effort.refusal is not None or not await _is_full(plan, disk):
        effort.full_since = None
        return False
    now = monotonic()
    effort.full_since = now if effort.full_since is None else effort.full_since
    if now - effort.full_since >= patience.room_s:
        return False
    how = (await enlarge_advice(disk)).rstrip(".") or "make room"
    tick(disk.target, 0, 0, f"{disk.base} has no room to grow: {how} and it goes on")
    effort.moved_at = now
    return True


async def _is_full(plan: BackupPlan, disk: PlannedDisk) -> bool:
    """Whether the base is known to have no room; through streams nobody here can look."""
    if plan.source is not Source.FILE:
        return False
    return await asyncio.to_thread(is_full, disk.base) or await is_full_device(disk)


async def _watch(
    session: HostSession, plan: BackupPlan, disk: PlannedDisk, effort: _Effort, tick: Tick, patience: Patience
) -> None:
    try:
        job = await session.ask(lambda host: host.block_job(plan.uuid, disk.target))
    except HostError as error:
        effort.last_error, job = error.one_line(), None
    position = (job.cur, job.end) if job is not None else (-1, -1)
    if job is not None:
        tick(disk.target, job.cur, job.end, "")
    if position != effort.position:
        effort.position, effort.moved_at = position, monotonic()
    elif monotonic() - effort.moved_at > patience.stall_s:
        raise _rescue(f"the commit of disk {disk.target} has not moved for {patience.stall_s:.0f} s", plan, disk)
    await session.wait_for_news(POLL_S)


def _is_off(view: GuestView, effort: _Effort, patience: Patience, plan: BackupPlan, disk: PlannedDisk) -> bool:
    """Whether there is no running guest to merge in; raises GuestStoppedError, or GuestAwayError, when it stays so."""
    if view.power not in (PowerState.OFF, PowerState.UNKNOWN):
        effort.off_since = None
        return False
    now = monotonic()
    effort.off_since = now if effort.off_since is None else effort.off_since
    if now - effort.off_since > patience.restart_s:
        absence = absence_of(view.power, view.power_reason)
        if absence:
            raise GuestAwayError(plan, absence)
        raise GuestStoppedError(TITLE, cause="the guest was stopped", next_step=_next_step(plan, disk))
    return True


async def _given_up(
    session: HostSession, plan: BackupPlan, disk: PlannedDisk, how: str, effort: _Effort
) -> NeedsRescueError:
    """The error after the last commit, with what was said of it and, where a file was denied, where to look."""
    cause, original, advice = f"the commit of disk {disk.target} {how}", "", ""
    if await _is_full(plan, disk):
        cause = f"{cause}: {disk.base} has no room to grow"
        advice = await enlarge_advice(disk) or "Make room there first."
    elif plan.source is Source.FILE:
        advice = await enlarge_advice(disk)
    if effort.refusal is not None:
        cause, original = f"{cause}: {effort.refusal.title}", effort.refusal.original
        live = await session.ask(lambda host: host.live_xml(plan.uuid))
        denied = denial_advice(original, confinement_of(live), disk.base)
        advice = f"{denied} {_OFF_INSTEAD}" if denied else advice
    return NeedsRescueError(
        TITLE, cause=cause, next_step=f"{advice} {_next_step(plan, disk)}".lstrip(), original=original
    )


def _rescue(cause: str, plan: BackupPlan, disk: PlannedDisk) -> NeedsRescueError:
    return NeedsRescueError(TITLE, cause=cause, next_step=_next_step(plan, disk))


def _next_step(plan: BackupPlan, disk: PlannedDisk) -> str:
    return (
        f"Delete nothing: {disk.overlay} holds what the guest wrote since the snapshot, on top of {disk.base}. "
        f"Start the guest if it is off ({virsh(plan, 'start')}), then merge: {merge_running(plan, disk)}"
    )
