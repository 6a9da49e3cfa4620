"""Restores that ended before their end, and restores that somebody wants undone: which state, and how to get there."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import asdict
from shlex import quote

from tui.backup.claim import GuestTakenError, held_by
from tui.backup.errors import BackupError, explained
from tui.backup.journal import Entry, Journal, RunStage, read_journal
from tui.backup.leftovers import RestoreEvidence
from tui.backup.liveness import own_owner
from tui.backup.lock import guest_lock
from tui.backup.mark import Kind
from tui.backup.restore.files import can_be_undone
from tui.backup.restore.guest import is_off, require_off
from tui.backup.restore.images_in_use import require_undoable
from tui.backup.restore.order import came_after, keeps_aside_what_is_of
from tui.backup.restore.plan import RestoredFile, RestoreWay, undone_of
from tui.backup.restore.telling import outcome_of
from tui.backup.restore.turning import hand_over, put_files_in, read_definitions, turn_back
from tui.backup.restore.wishes import USERS
from tui.backup.runfold import RESTORE_DIED
from tui.backup.runs import RestoreRun, list_restores, note_worker, worker_alive
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.session import HostSession
from tui.model.errors import ExplainedError

UNDOABLE = frozenset({RestoreWay.IN_PLACE, RestoreWay.ATTACH})
"""The ways that are undone by one order; a clone is a guest of its own, and removed as any other."""
_MOVED = frozenset({RunStage.MOVING, RunStage.DEFINING, RunStage.TESTING})


def restore_evidence(run: RestoreRun, worker: int | None) -> RestoreEvidence:
    """What journal and files tell of a restore; reads only, blocks."""
    entries = read_journal(run.folder)
    return RestoreEvidence(
        plan=run.plan,
        stage=entries[-1].stage if entries else "",
        places=tuple(_place(file) for file in run.plan.files),
        worker=worker,
        has_moved=_has_moved(entries),
        is_turning_back=_turning(entries) is not None,
    )


async def settle_restore(session: HostSession, run: RestoreRun) -> str:
    """Finish or undo a restore whose worker died, as its journal says; returns the outcome in a sentence.

    May be repeated. Raises BackupError, HostError and OSError where it stays as it is; nothing is lost by that.
    """
    entries = read_journal(run.folder)
    moved, turning = _has_moved(entries), _turning(entries)
    if moved and turning is None and run.plan.way not in (RestoreWay.BOOT_TEST, RestoreWay.ATTACH):
        return await _finish(session, run)
    if turning is not None and turning.details.get("keep") is True:
        return await _undo(session, run)
    journal = Journal(run.folder)
    if moved:
        journal.write(RunStage.UNDOING, keep=False)
    await turn_back(session, run, moved=moved, keep=False)
    but = ""
    if any(entry.details.get("asked_off") for entry in entries) and await is_off(session, run.plan.uuid):
        virsh = f"virsh -c {quote(run.plan.uri)} start {quote(run.plan.guest)}"
        but = f", but {run.plan.guest} was put off for it; to start it: {virsh}"
    error = explained(
        ExplainedError(RESTORE_DIED.title, cause=RESTORE_DIED.cause, next_step=f"All is as before{but}; try again.")
    )
    journal.write(RunStage.FAILED, exit_code=EXIT_NOT_DONE, error=asdict(error), shortfalls=[])
    return f"the restore of {run.plan.guest} is undone: all is as it was before{but}"


async def undo_restore(session: HostSession, run: RestoreRun, accepted: Collection[str] = ()) -> str:
    """Put back what a finished restore replaced; the restored images are kept under a third name.

    `accepted` may hold `USERS`, where it is not known of every guest whether its images lie on the restored ones.
    Returns the outcome in a sentence. Raises BackupError where it cannot be done (any more), HostError and OSError.
    """
    with guest_lock(run.plan.uuid):
        refuse_what_cannot_be_undone(run)
        if run.plan.way is RestoreWay.IN_PLACE:
            await require_off(session, run.plan)
            before = read_definitions(run).before
            await require_undoable(session, run.plan, before, accepts_unknown=USERS in accepted)
        note_worker(run, os.getpid())
        try:
            async with held_by(session, run.plan.uuid, own_owner(run.plan.run_id, run.plan.host, Kind.RESTORE)):
                return await _undo(session, run)
        except GuestTakenError:
            raise
        except (ExplainedError, OSError) as error:
            words = asdict(explained(error))
            Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_RESCUE, error=words, shortfalls=[])
            raise


def undoable_restore(folder: str) -> RestoreRun | None:
    """The newest restore of the backup in `folder` that can be undone, None without one; blocks."""
    found = [run for run in list_restores() if run.plan.folder == folder and is_undoable(run)]
    return next((run for run in found if _standing_on(run) is None), next(iter(found), None))


def is_undoable(run: RestoreRun) -> bool:
    """Whether a restore was done, and all that it replaced is still there."""
    entries = read_journal(run.folder)
    done = bool(entries) and entries[-1].stage is RunStage.DONE
    return done and run.plan.way in UNDOABLE and can_be_undone(run.plan)


async def _finish(session: HostSession, run: RestoreRun) -> str:
    journal = Journal(run.folder)
    journal.write(RunStage.MOVING)
    await put_files_in(session, run.plan)
    journal.write(RunStage.DEFINING)
    remarks = await hand_over(session, run)
    outcome = outcome_of(run.plan)
    shortfalls = ["the restore's process died; it was finished afterwards", *remarks]
    journal.write(RunStage.DONE, exit_code=EXIT_LESS, error=None, shortfalls=shortfalls, outcome=outcome)
    return outcome


async def _undo(session: HostSession, run: RestoreRun) -> str:
    plan, journal = run.plan, Journal(run.folder)
    journal.write(RunStage.UNDOING, keep=True)
    keep = plan.way is RestoreWay.IN_PLACE
    await turn_back(session, run, moved=True, keep=keep)
    kept = ", ".join(undone_of(disk.to, plan.run_id) for disk in plan.disks) if keep else ""
    names = ", ".join(disk.name for disk in plan.disks)
    back = (
        f"{plan.guest} has its former {names} again"
        if plan.keeps_definition
        else f"{plan.guest} is as before the restore"
    )
    outcome = f"{back}; the restored images can be deleted: {kept}" if kept else back
    journal.write(RunStage.UNDONE, exit_code=EXIT_DONE, error=None, shortfalls=[], outcome=outcome)
    return outcome


def refuse_what_cannot_be_undone(run: RestoreRun) -> None:
    """Raise BackupError, with what to do instead, for a restore that may not be undone as things are; blocks."""
    entries = read_journal(run.folder)
    last = entries[-1].stage if entries else None
    later = _standing_on(run)
    reasons = (
        (worker_alive(run), "it is running", "Wait for its end, or cancel it: qga-tui jobs RUN --cancel"),
        (run.plan.way not in UNDOABLE, f"it was a restore of the kind {run.plan.way}", "Remove what it made by hand."),
        (last is not RunStage.DONE, f"its state is {last}", "See what it needs: qga-tui rescue"),
        (not can_be_undone(run.plan), "the former images are gone", "There is nothing to put back."),
        (
            later is not None,
            f"restore {later.plan.run_id if later else ''} came later, and keeps aside what this one put in place",
            f"Undo that one first: qga-tui restore {quote(later.plan.folder if later else '')} --undo",
        ),
    )
    for holds, why, next_step in reasons:
        if holds:
            raise BackupError("This restore cannot be undone", cause=why, next_step=next_step)


def _standing_on(run: RestoreRun) -> RestoreRun | None:
    """The newest restore that moved aside what `run` had put in place, and is not undone itself.

    Undone out of order, the images of both would change their names, and the ones told to be deleted be the wrong ones.
    """
    above = [
        other
        for other in list_restores()
        if other.plan.run_id != run.plan.run_id and keeps_aside_what_is_of(other, run) and came_after(other, run)
    ]
    return next((each for each in above if all(each is one or came_after(each, one) for one in above)), None) or next(
        iter(above), None
    )


def _has_moved(entries: Collection[Entry]) -> bool:
    return any(entry.stage in _MOVED for entry in entries)


def _turning(entries: Collection[Entry]) -> Entry | None:
    """The last order to go back to the old state."""
    return next((entry for entry in reversed(tuple(entries)) if entry.stage is RunStage.UNDOING), None)


def _place(file: RestoredFile) -> str:
    there = [
        words
        for name, words in ((file.partial, "its copy"), (file.aside, "the former one, aside"), (file.to, "its place"))
        if name and os.path.lexists(name)
    ]
    return f"{file.name}: {file.to} ({', '.join(there) or 'nothing there'})"
