"""Backups of several guests, one after the other: every worker is there from the start and waits for its turn."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from tui.backup.checks import Check, passed, warned
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan
from tui.backup.preflight_room import MARGIN_BYTES
from tui.backup.progress import Progress
from tui.backup.propose import Proposal
from tui.backup.reach import FileSystem
from tui.backup.runs import Run, cancel, is_active, open_run
from tui.model.errors import ExplainedError
from tui.model.quantities import size

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A guest that is to be backed up among others: what would be done, or why nothing can be planned."""

    guest: str
    proposal: Proposal | None = None
    trouble: ExplainedError | None = None

    @property
    def may_begin(self) -> bool:
        """Whether nothing forbids its backup."""
        return self.proposal is not None and self.proposal.may_begin


def room_for_all(proposals: Sequence[Proposal], target: FileSystem | None) -> Check:
    """Whether the target has room for all copies together; each run looks again when its turn comes."""
    if target is None:
        return warned("Target for all", "there is no such folder", "Mount or make it.")
    needed = sum(proposal.estimated_bytes + MARGIN_BYTES for proposal in proposals)
    words = f"{size(target.free_bytes)} free, about {size(needed)} needed"
    if target.free_bytes < needed:
        return warned("Target for all", words, "The last ones will not begin unless room is made meanwhile.")
    return passed("Target for all", words)


def launch_queue(plans: Sequence[BackupPlan], argv: Sequence[str]) -> tuple[Run, ...]:
    """Start a worker for each plan; each begins when those before it have ended, whatever became of them.

    Returns at once. Raises OSError where one could not be started; those that were are then cancelled.
    """
    started: list[Run] = []
    try:
        for plan in plans:
            after = tuple(run.plan.run_id for run in started)
            started.append(launch(replace(plan, after=after), argv))
    except OSError:
        for run in started:
            cancel(run, signal.SIGTERM)
        raise
    return tuple(started)


async def wait_for_turn(run: Run, stop: asyncio.Event) -> None:
    """Return when none of the runs that go before this one is at work or waits; raises CancelledBackupError."""
    ahead = [before for run_id in run.plan.after if (before := _run_beside(run, run_id)) is not None]
    told = ""
    with closing(Progress(run.folder)) as progress:
        while not stop.is_set():
            ahead = [before for before in ahead if await asyncio.to_thread(is_active, before)]
            if not ahead:
                progress.turn("")
                return
            if (words := _behind(ahead)) != told:
                told = words
                progress.turn(words)
            await _wait(stop, LOOK_EVERY_S)
    raise CancelledBackupError("The backup was cancelled before its turn came")


def _run_beside(run: Run, run_id: str) -> Run | None:
    """A run of the same user; one that is no longer there keeps nobody waiting."""
    try:
        return open_run(run.folder.parent / run_id)
    except BackupError:
        return None


def _behind(ahead: Sequence[Run]) -> str:
    others = len(ahead) - 1
    return ahead[0].plan.guest + (f" and {others} other{'s' if others > 1 else ''}" if others else "")


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
