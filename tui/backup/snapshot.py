"""The moment of the backup: freeze, switch to overlays, thaw; and what the guest's definition then says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from tui.agent.commands import fsfreeze_freeze, fsfreeze_thaw, osinfo
from tui.agent.errors import AgentError, CommandFailedError, GuestNotRunningError
from tui.agent.transport import Transport
from tui.backup.chain import Place, disks_by_target, place_of, read_guest, snapshot_xml
from tui.backup.claim import GuestTakenError
from tui.backup.confinement import confinement_of, denial_advice
from tui.backup.disk_set import Disks, GuestChangedError, others_of, refuse_changed
from tui.backup.ending import say_in_log
from tui.backup.errors import BackupError, NeedsRescueError
from tui.backup.freeze_truth import HOLD_S, NOT_THAWED, FreezeFacts, doubt
from tui.backup.manifest import Consistency, FreezeReport
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.quiesce import THAW_S, is_frozen, thaw_once, until_thawed
from tui.backup.runs import Run
from tui.backup.session import HostSession, Patience
from tui.backup.watchdog import Watchdog
from tui.doctor.freezing import freeze_hint, passes_by_itself
from tui.hosts.port import HostError, HostUnreachableError
from tui.model.errors import ExplainedError
from tui.model.guest import PowerState

POLL_S = 1.0
MEND_OR_DO_WITHOUT = "Mend the agent, or make the backup without a freeze."
SECOND_TRY_S = 3.0
"""Seconds from a freeze that failed for a passing reason to the second and last try."""


class IncompleteSnapshotError(BackupError):
    """Some disks were switched to their overlays and some were not: there is no one moment to copy."""


@dataclass(frozen=True, slots=True)
class _Switch:
    """The one act of the snapshot, and what must hold directly before it."""

    session: HostSession
    plan: BackupPlan
    before: Disks
    require_held: Callable[[], Awaitable[None]]

    async def ask(self) -> HostError | None:
        """Ask for the overlays once, by the definition as it is now.

        Raises GuestChangedError where its disks are others, GuestTakenError where its holder is. Any other error proves
        nothing: the definition is read afterwards.
        """
        try:
            now = disks_by_target(await self.session.host.live_xml(self.plan.uuid))
            refuse_changed(self.before, now)
            await self.require_held()
            await self.session.host.snapshot_disks(self.plan.uuid, snapshot_xml(self.plan, others_of(self.plan, now)))
        except HostError as error:
            _log(error)
            return error
        return None


@dataclass(frozen=True, slots=True)
class _Try:
    """One try to freeze: what came of it, what the snapshot said, why there was no freeze, whether it is thawed.

    `changed` where the snapshot was not asked for, for the guest's disks or its holder were others by then.
    """

    report: FreezeReport
    trouble: HostError | None
    refusal: ExplainedError | None
    thawed: bool
    changed: GuestChangedError | GuestTakenError | None = None


async def take_snapshot(
    session: HostSession,
    run: Run,
    watchdog_argv: Sequence[str],
    before: Disks,
    patience: Patience,
    require_held: Callable[[], Awaitable[None]],
) -> FreezeReport:
    """Switch the plan's disks to overlays, the guest frozen meanwhile if the plan wants it and the guest can.

    `before` are the guest's disks as the checks saw them; `require_held` raises GuestTakenError where the guest is
    another's, and is asked directly before each snapshot. Raises BackupError when no disk was switched,
    GuestChangedError where the disks are others by now, GuestTakenError, IncompleteSnapshotError when only some were
    switched, and NeedsRescueError when the host does not tell.
    """
    switch = _Switch(session, run.plan, before, require_held)
    view = await read_guest(session, run.plan.uuid)
    refuse_changed(before, view.live)
    paused = view.power is PowerState.PAUSED
    if paused or run.plan.quiesce is QuiescePolicy.OFF:
        trouble = await switch.ask()
        await prove_switched(session, run.plan, trouble, patience)
        stood_still = paused and await _is_paused(session, run.plan)
        return FreezeReport(Consistency.PAUSED if stood_still else Consistency.CRASH)
    tried = await _guarded(session, run, watchdog_argv, switch, patience)
    if tried.refusal is not None and tried.thawed and passes_by_itself(tried.refusal):
        _log(tried.refusal)
        await asyncio.sleep(SECOND_TRY_S)
        tried = await _guarded(session, run, watchdog_argv, switch, patience)
    if tried.changed is not None:
        raise tried.changed
    if tried.refusal is not None:
        return await _without_freeze(switch, patience, tried)
    await prove_switched(session, run.plan, tried.trouble, patience)
    return tried.report


async def _is_paused(session: HostSession, plan: BackupPlan) -> bool:
    return (await session.ask(lambda host: host.read_domain(plan.uuid))).power is PowerState.PAUSED


async def _guarded(
    session: HostSession, run: Run, watchdog_argv: Sequence[str], switch: _Switch, patience: Patience
) -> _Try:
    """Freeze, switch and thaw with a watchdog of the try's own; raises BackupError where the guest is frozen already.

    Without an answer to a first question, or without a watchdog, no freeze is asked for.
    """
    try:
        # An agent that answers this can be asked to thaw, too.
        frozen_already = await is_frozen(session.host.work_line(run.plan.uuid))
        watchdog = await Watchdog.start(watchdog_argv, run) if not frozen_already else None
    except (AgentError, BackupError) as error:
        return _Try(FreezeReport(Consistency.CRASH), None, error, thawed=True)
    if watchdog is None:
        raise BackupError("The guest is frozen already", next_step="Thaw it: virsh domfsthaw GUEST.")
    watchdog.freezing(patience.watchdog_s)
    tried = await _while_frozen(switch, patience)
    if tried.thawed:
        await watchdog.dismiss()
    return tried


async def _while_frozen(switch: _Switch, patience: Patience) -> _Try:
    """Freeze, switch, and thaw until that is proven or takes too long."""
    session, plan = switch.session, switch.plan
    line = session.host.work_line(plan.uuid)
    trouble: HostError | None = None
    refusal: ExplainedError | None = None
    changed: GuestChangedError | GuestTakenError | None = None
    count, held_s = 0, 0.0
    still_frozen: bool | None = None
    began = monotonic()
    try:
        count = await fsfreeze_freeze(line, patience.freeze_s)
        if count > 0:
            frozen_at = monotonic()
            trouble = await switch.ask()
            held_s = monotonic() - frozen_at
            still_frozen = await is_frozen(line)
        else:
            refusal = BackupError("The guest froze nothing", cause="its agent knows no file system it can freeze")
    except (GuestChangedError, GuestTakenError) as error:
        changed = error
    except ExplainedError as error:
        if count == 0:
            refusal = error
        else:
            _log(error)
    finally:
        first = await _first_thaw(line)
        thawed = await _thaw(session, plan, patience, is_answered=first != (None, ""))
    frozen_ms = round((monotonic() - began) * 1000, 1)
    if count == 0 or changed is not None:
        report = FreezeReport(Consistency.CRASH, count, frozen_ms, "" if thawed else NOT_THAWED, is_thawed=thawed)
        return _Try(report, trouble, refusal, thawed, changed)
    may_end_itself = held_s >= HOLD_S and await _may_end_itself(line)
    unproven = doubt(FreezeFacts(count, still_frozen, held_s, *first, may_end_itself=may_end_itself))
    remark = "; ".join(filter(None, ("" if thawed else NOT_THAWED, unproven)))
    consistency = Consistency.CRASH if unproven else Consistency.QUIESCED
    return _Try(FreezeReport(consistency, count, frozen_ms, remark, is_thawed=thawed), trouble, refusal, thawed)


async def _first_thaw(line: Transport) -> tuple[int | None, str]:
    """How many file systems the first thaw let go, and its own words where it failed; what it missed is repeated."""
    try:
        return await fsfreeze_thaw(line, THAW_S), ""
    except CommandFailedError as error:
        return None, error.original or error.title
    except AgentError as error:
        _log(error)
        return None, ""


async def _may_end_itself(line: Transport) -> bool:
    """Whether the guest ends its freeze after ten seconds, as Windows does; one that does not say may."""
    try:
        return (await osinfo(line)).id in ("", "mswindows")
    except AgentError:
        return True


async def _thaw(session: HostSession, plan: BackupPlan, patience: Patience, *, is_answered: bool) -> bool:
    """Thaw until it is proven. A guest that is off by now has nothing frozen.

    A thaw that `is_answered` is not repeated before the status was asked: the guest's hooks run at each.
    """
    looks = iter((is_answered,))

    async def once() -> bool:
        try:
            if next(looks, False):
                return not await session.ask(lambda host: is_frozen(host.work_line(plan.uuid)))
            return await session.ask(lambda host: thaw_once(host.work_line(plan.uuid)))
        except GuestNotRunningError:
            return not (await session.ask(lambda host: host.read_domain(plan.uuid))).power.startswith("paused")

    return await until_thawed(once, patience.thaw_s, _log)


async def _without_freeze(switch: _Switch, patience: Patience, tried: _Try) -> FreezeReport:
    """What the plan says to do when the guest could not be frozen in the last try."""
    why, remark = tried.refusal, tried.report.remark
    if why is None:
        raise AssertionError("a try without a refusal froze the guest")
    hint = freeze_hint(why)
    if switch.plan.quiesce is QuiescePolicy.REQUIRED:
        raise BackupError(
            "The guest could not be frozen",
            cause="; ".join(filter(None, (why.one_line(), remark))),
            next_step=f"{hint}. Or make the backup without a freeze." if hint else MEND_OR_DO_WITHOUT,
            original=why.original,
        ) from why
    trouble = await switch.ask()
    await prove_switched(switch.session, switch.plan, trouble, patience)
    words = (f"not frozen: {why.one_line()}", hint, remark)
    return FreezeReport(Consistency.CRASH, remark="; ".join(filter(None, words)), is_thawed=tried.thawed)


async def prove_switched(session: HostSession, plan: BackupPlan, trouble: HostError | None, patience: Patience) -> None:
    """Raise what `take_snapshot` raises unless the definition names every overlay; `trouble` is what it met."""
    is_lost = isinstance(trouble, HostUnreachableError)
    places = await (_settled_places(session, plan, patience) if is_lost else _places(session, plan))
    if all(place is Place.OVERLAY for place in places.values()):
        return
    cause = trouble.one_line() if trouble is not None else ", ".join(f"{t} is on {p}" for t, p in places.items())
    original = trouble.original if trouble is not None else ""
    if all(place is Place.BASE for place in places.values()):
        live = await session.ask(lambda host: host.live_xml(plan.uuid))
        advice = denial_advice(original, confinement_of(live), plan.disks[0].overlay)
        raise BackupError(
            "The snapshot was not taken",
            cause=cause,
            next_step=f"The guest runs on as before. {advice or 'Mend the cause and try again.'}",
            original=original,
        )
    raise IncompleteSnapshotError("The snapshot was taken of some disks only", cause=cause, original=original)


async def _places(session: HostSession, plan: BackupPlan) -> dict[str, Place]:
    view = await read_guest(session, plan.uuid)
    return {disk.target: place_of(view.live.get(disk.target), disk) for disk in plan.disks}


async def _settled_places(session: HostSession, plan: BackupPlan, patience: Patience) -> dict[str, Place]:
    """Where the disks are once nothing works on the request any more whose answer was lost.

    The daemon goes on with it without us: that a disk is on its base is believed when the domain holds no job and two
    looks agree. Raises NeedsRescueError where it does not come to that.
    """
    end = monotonic() + patience.doubt_s
    before: dict[str, Place] | None = None
    while True:
        is_busy = await _is_busy(session, plan)
        places = await _places(session, plan)
        if all(place is Place.OVERLAY for place in places.values()) or (places == before and not is_busy):
            return places
        if monotonic() >= end:
            raise NeedsRescueError(
                "The host does not tell whether the snapshot was taken",
                cause=f"its answer was lost, and {plan.guest} was still being worked on {patience.doubt_s:.0f} s later",
                next_step="Delete nothing. Once the host is well, see what it needs: qga-tui rescue",
            )
        before = None if is_busy else places
        await session.wait_for_news(POLL_S)


async def _is_busy(session: HostSession, plan: BackupPlan) -> bool:
    """Whether something works on the domain; a snapshot's job makes the question itself fail."""
    try:
        return await session.ask(lambda host: host.domain_job_active(plan.uuid))
    except HostError:
        return True


def _log(error: ExplainedError) -> None:
    say_in_log(f"snapshot: {error.one_line()}")
