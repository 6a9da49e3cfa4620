"""Merging the overlay of a disk that was taken from the guest during its backup: under QEMU's locks, in no guest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tui.backup.by_hand import merge_file
from tui.backup.chain import read_guest
from tui.backup.errors import BackupError, NeedsRescueError, explained
from tui.backup.image_users import other_users
from tui.backup.journal import RunStage, read_journal
from tui.backup.meanwhile import is_detached
from tui.backup.merge_off import commit_twice
from tui.backup.plan import BackupPlan, PlannedDisk, Source
from tui.backup.runs import find_run
from tui.backup.session import HostSession
from tui.model.errors import ExplainedError

Note = Callable[..., None]
CLOCKS_S = 2.0
"""Seconds by which a file system's clock may be ahead of ours."""


def detached_error(disk: PlannedDisk, why: str = "") -> NeedsRescueError:
    """What to tell of a detached disk whose overlay is not merged."""
    reason = f"; it was not merged: {why}" if why else ""
    return NeedsRescueError(
        "A disk was detached from the guest during its backup, and its overlay is not merged",
        cause=f"{disk.target}: {disk.overlay} holds what the guest wrote since the snapshot{reason}",
        next_step=f"Delete nothing, and attach {disk.base} nowhere before: {merge_file(disk)} (as long as no program "
        f"has written to {disk.base} since the snapshot).",
    )


async def merge_detached(session: HostSession, plan: BackupPlan, disk: PlannedDisk, note: Note) -> str:
    """Merge the overlay of a disk that no guest has any more; returns what is worth saying.

    Raises NeedsRescueError where it was not done, for one of its images is in use or its base was written to.
    """
    try:
        await _refuse(session, plan, disk)
        note(RunStage.COMMITTING, target=disk.target, off=True)
        remark = await commit_twice(disk, lambda: _refuse_in_use(session, plan, disk))
    except NeedsRescueError:
        raise
    except (ExplainedError, OSError) as error:
        told = explained(error)
        raise detached_error(disk, f"{told.title}{f' ({told.cause})' if told.cause else ''}") from error
    words = f"{disk.target} was detached meanwhile: its overlay was merged into {disk.base} by qemu-img"
    return f"{words}; {remark}" if remark else words


async def _refuse(session: HostSession, plan: BackupPlan, disk: PlannedDisk) -> None:
    if plan.source is not Source.FILE:
        raise BackupError("This user may not open its images")
    await _refuse_in_use(session, plan, disk)
    run = find_run(plan.run_id)
    entries = read_journal(run.folder) if run is not None else ()
    if any(each.details.get("off") and each.details.get("target") == disk.target for each in entries):
        return  # what was written to the base since then are the overlay's own writes
    taken = next((each.at for each in entries if each.stage is RunStage.SNAPSHOT_TAKEN), None)
    if taken is None:
        raise BackupError("It is not known when the snapshot was taken", cause="there is no journal of it here")
    if (await asyncio.to_thread(Path(disk.base).stat)).st_mtime > taken + CLOCKS_S:
        raise BackupError("The image was written to since the snapshot", cause=disk.base)


async def _refuse_in_use(session: HostSession, plan: BackupPlan, disk: PlannedDisk) -> None:
    users = await other_users(session, plan, (*disk.names, disk.overlay))
    if users:
        raise BackupError("Another guest uses its images", cause=", ".join(users))
    if not is_detached(disk, (await read_guest(session, plan.uuid)).live):
        raise BackupError("It was attached again meanwhile")
