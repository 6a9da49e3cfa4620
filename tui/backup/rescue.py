"""Finishing what a backup left behind: the guest comes home, the copy is proven or void, no file stays.

Every step looks at what is there and may be repeated: a rescue that dies is rescued by the next one.

A copy that was not whole is not finished, though its bases still stand still: nothing proves what was written of it, so
it would be read anew from its first byte while the overlay goes on growing. A new backup takes as long, and is newer.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote

from tui.agent.errors import GuestNotRunningError
from tui.backup.away import noted_absence
from tui.backup.chain import read_guest
from tui.backup.claim import Claim, held_by
from tui.backup.ending import say_in_log
from tui.backup.errors import BackupError, NeedsRescueError, explained
from tui.backup.folder import ResultFolder, result_folder
from tui.backup.homecoming import Note, bring_home, delete_overlays, proven_merged, refuse_unproven
from tui.backup.images import run_program
from tui.backup.journal import Journal, RunStage, read_journal
from tui.backup.leftovers import APPLICABLE, GuestEvidence, Leftover, RestoreEvidence, Way
from tui.backup.liveness import own_owner, refuse_living
from tui.backup.lock import guest_lock
from tui.backup.mark import Kind
from tui.backup.merge import Tick
from tui.backup.plan import BackupPlan
from tui.backup.proof import Tell, prove, unheard
from tui.backup.quiesce import thaw_once, until_thawed
from tui.backup.restore.plan import RestorePlan
from tui.backup.restore.settle import settle_restore
from tui.backup.runfold import DIED
from tui.backup.runs import RestoreRun, Run, find_any_run, find_run, worker_alive
from tui.backup.runstate import EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.same_machine import with_proven_source
from tui.backup.session import HostSession, Patience
from tui.backup.source import reach_of
from tui.backup.target import SilentTargetError, Target
from tui.backup.whose_pause import put_off_again, resume_if_ours
from tui.model.errors import ExplainedError
from tui.model.guest import PowerState

RESCUE_PATIENCE = Patience(restart_s=0, reconnect_s=20, room_s=0)
_WORTH_PROVING = frozenset({RunStage.COPIED, RunStage.COMMITTING, RunStage.PIVOTING, RunStage.PIVOTED})


@dataclass(frozen=True, slots=True)
class Rescued:
    """How a rescue ended: the guest is home when this exists; `copy` says what became of the backup.

    `outcome` is the whole of it in one sentence.
    """

    guest: str
    copy: str
    remarks: tuple[str, ...] = ()
    outcome: str = ""

    @property
    def words(self) -> str:
        """What to tell."""
        return self.outcome or f"{self.guest} is on its own disks; its backup: {self.copy}"


async def rescue(
    session: HostSession,
    leftover: Leftover,
    tick: Tick,
    *,
    confirmed: str = "",
    patience: Patience = RESCUE_PATIENCE,
    hear_proof: Tell = unheard,
) -> Rescued:
    """Go the one safe way; `confirmed` is the guest's name as the user typed it, where nothing marks it as ours.

    `tick` hears how far a merge is, `hear_proof` how far the copy is read.
    Raises BackupError where it is not to be done, NeedsRescueError where it did not succeed, and HostError.
    """
    if isinstance(leftover.evidence, RestoreEvidence):
        return await _settle_restore(session, leftover, leftover.evidence.plan)
    plan = leftover.evidence.plan
    if leftover.way is Way.MERGE_CONFIRMED:
        if confirmed != plan.guest:
            raise BackupError(
                "This is not done without a confirmation",
                cause=leftover.title,
                next_step=f"If it is no clone of yours, type the guest's name: --confirm {plan.guest}",
            )
    elif leftover.way not in APPLICABLE:
        raise BackupError(leftover.title, cause=leftover.explanation)
    with ExitStack() as held:
        held.enter_context(guest_lock(plan.uuid))
        run = find_run(plan.run_id) if leftover.evidence.is_ours else None
        if run is not None and worker_alive(run):
            raise BackupError("A backup of this guest is running", next_step="Wait for it to end, or cancel it.")
        # The plan may be of a time when the host's files were ours to open, or of another machine.
        plan = await with_proven_source(session, plan)
        async with _holding(session, leftover.evidence) as claim:
            if not leftover.evidence.is_ours:
                return await _merge_foreign(session, plan, tick, patience)
            return await _settle(claim, plan, run, tick, patience, hear_proof)


@asynccontextmanager
async def _holding(session: HostSession, evidence: GuestEvidence) -> AsyncIterator[Claim]:
    """Hold the guest for a rescue, so that nobody else works on it meanwhile; after one that failed it is as before.

    A run of this account is known to be dead by its journal; whoever left any other mark, or removed one, is watched
    for a sign of life first. Raises BackupError where somebody works on it.
    """
    plan, mark = evidence.plan, evidence.mark
    if not evidence.is_own_run:
        mark = await refuse_living(session, plan.uuid)
    claim = Claim(session, plan.uuid, own_owner(plan.run_id, plan.host, Kind.RESCUE))
    await claim.take(mark)
    claim.hold_on()
    try:
        async with claim.renewing():
            yield claim
    except BaseException:
        await claim.release(mark)
        raise
    await claim.release()


async def _settle_restore(session: HostSession, leftover: Leftover, plan: RestorePlan) -> Rescued:
    with guest_lock(plan.uuid):
        run = find_any_run(plan.run_id)
        if leftover.way not in APPLICABLE or not isinstance(run, RestoreRun) or worker_alive(run):
            raise BackupError(leftover.title, cause=leftover.explanation)
        async with held_by(session, plan.uuid, own_owner(plan.run_id, plan.host, Kind.RESCUE)):
            return Rescued(plan.guest, "untouched", outcome=await settle_restore(session, run))


async def _settle(
    claim: Claim, plan: BackupPlan, run: Run | None, tick: Tick, patience: Patience, hear_proof: Tell
) -> Rescued:
    session = claim.session
    journal = Journal(run.folder) if run is not None else None
    entries = read_journal(run.folder) if run is not None else ()

    def note(stage: RunStage, **details: object) -> None:
        if journal is not None:
            journal.write(stage, **details)

    await _thaw(session, plan, patience)
    reach = reach_of(session, plan)
    remarks: list[str] = []
    try:
        known = proven_merged(plan, entries, await read_guest(session, plan.uuid))
        home = await bring_home(session, plan, reach, tick, patience, note, known=known, absence=noted_absence(entries))
        if any(entry.stage is RunStage.REVIVING for entry in entries):
            # The one who started it with its processors stopped died before putting it off.
            remarks += await put_off_again(session, plan)
        paused = [entry.details.get("paused_at_ns") for entry in entries if entry.details.get("settling")]
        if paused:
            remarks += await resume_if_ours(session, plan, paused[-1] if isinstance(paused[-1], int) else None)
        remarks += home.remarks
        await refuse_unproven(plan, reach, home.merged)
        note(RunStage.PIVOTED)
        remarks += await delete_overlays(session, plan, reach, home.merged)
        await reach.close()
    except NeedsRescueError as error:
        note(RunStage.FAILED, exit_code=EXIT_RESCUE, error=asdict(explained(error)), shortfalls=remarks)
        raise
    # The mark goes first: the target, which is looked at now, may not answer.
    await claim.release()
    copy = await _judge_copy(plan, run, {entry.stage for entry in entries}, note, patience, hear_proof)
    good = copy.startswith("good")
    note(
        RunStage.DONE if good else RunStage.FAILED,
        exit_code=EXIT_LESS if good else EXIT_NOT_DONE,
        error=None if good else asdict(DIED_AND_RESCUED),
        shortfalls=[*remarks, "the backup's process died; the guest was brought back afterwards"] if good else remarks,
    )
    return Rescued(plan.guest, copy, tuple(remarks))


DIED_AND_RESCUED = explained(
    ExplainedError(DIED.title, cause=DIED.cause, next_step="The guest was brought back to its own disks; try again.")
)


async def _thaw(session: HostSession, plan: BackupPlan, patience: Patience) -> None:
    """Thaw a guest whose agent answers; raises NeedsRescueError where it stays frozen."""
    facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    if facts.power is not PowerState.RUNNING:
        return
    last: list[str] = []

    async def once() -> bool:
        try:
            return await session.ask(lambda host: thaw_once(host.work_line(plan.uuid)))
        except GuestNotRunningError:
            return True

    if not await until_thawed(once, AGENT_S, lambda error: last.append(error.one_line())):
        # An agent that does not answer, as in a guest that boots, has frozen nothing that a thaw could reach.
        say_in_log(f"rescue: not thawed: {'; '.join(last)}")


AGENT_S = 5.0
"""Seconds for which a thaw is tried before the disks are brought home."""


async def _judge_copy(
    plan: BackupPlan, run: Run | None, stages: set[RunStage], note: Note, patience: Patience, hear_proof: Tell
) -> str:
    """Prove the copy of a run that had come so far, else mark it as void; returns what became of it."""
    if run is None:
        return "unknown: its journal is not on this machine"
    folder, target = result_folder(plan), Target(Path(plan.target), asyncio.Event(), patience.last_word_s)
    is_worth_proving = RunStage.VOID not in stages and bool(stages & _WORTH_PROVING)
    try:
        if is_worth_proving and await _is_sealed_once_proven(folder, target, hear_proof):
            return f"good: {folder.final}"
        if await target.do(folder.partial.is_dir):
            await _mark_as_void(folder, target)
    except (OSError, SilentTargetError) as error:
        say_in_log(f"rescue: {explained(error).title}: {plan.target}")
        if is_worth_proving:
            verify = f"qga-tui verify {quote(str(folder.final))}"
            return f"not looked at, for its target does not answer; once it does: {verify}"
        note(RunStage.VOID)
    return "void"


async def _mark_as_void(folder: ResultFolder, target: Target) -> None:
    code, _, said = await target.answer(run_program(*folder.void_words("the backup's process died")))
    if code != 0:
        raise OSError(errno.EIO, said)


async def _is_sealed_once_proven(folder: ResultFolder, target: Target, hear_proof: Tell) -> bool:
    for place in (folder.final, folder.partial):
        if not await target.do(place.is_dir):
            continue
        try:
            proof = await prove(place, hear_proof)
        except BackupError:
            continue
        if proof.is_good:
            if place == folder.partial:
                await target.do(folder.seal)
            return True
    return False


async def _merge_foreign(session: HostSession, plan: BackupPlan, tick: Tick, patience: Patience) -> Rescued:
    """Merge what another tool left. Its files stay: whether anything else means them is not ours to know."""
    reach = reach_of(session, plan)
    home = await bring_home(session, plan, reach, tick, patience, _unheard)
    there = [disk.overlay for disk in plan.disks if await reach.exists(disk.overlay)]
    await reach.close()
    kept = tuple(f"{overlay} is merged and was kept; delete it once you are sure" for overlay in there)
    return Rescued(plan.guest, "none: not a backup of this program", (*home.remarks, *kept))


def _unheard(stage: RunStage, **details: object) -> None:
    """There is no journal of ours for what another tool began."""
