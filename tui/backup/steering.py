"""What a running backup can be told meanwhile: another rate, and to pause its guest until the disks are merged."""

from __future__ import annotations

import asyncio

from tui.backup.control import order
from tui.backup.errors import BackupError
from tui.backup.follow import read_state
from tui.backup.plan import Source
from tui.backup.progress import Step, StepStatus
from tui.backup.runs import AnyRun, Run
from tui.backup.runstate import RunState
from tui.model.quantities import bound_words

NOT_CONVERTED = "not for a converted copy"


def may_change_rate(state: RunState) -> bool:
    """Whether there is anything left that a run reads at the rate of its copy."""
    return not state.ended and not _is_done(state, Step.COPY, Step.VERIFY)


def may_settle(state: RunState) -> bool:
    """Whether a merge is under way."""
    return not state.ended and any(
        step.step is Step.COMMIT and step.status is StepStatus.RUNNING for step in state.steps
    )


def fixed_rates(run: AnyRun, state: RunState) -> tuple[str, ...]:
    """The disks still to be copied by qemu-img, which keeps to the rate that it began with."""
    if _is_done(state, Step.COPY):
        return ()
    if isinstance(run, Run):
        return tuple(disk.target for disk in run.plan.disks if run.plan.is_converted(disk))
    return tuple(file.name for file in run.plan.disks if file.is_converted)


async def change_rate(run: AnyRun, bytes_s: int) -> str:
    """Bound the rate of a run's copy from now on, 0 is no bound; returns what holds now, in a sentence.

    Raises BackupError, also where nothing is copied that could obey.
    """
    state = await asyncio.to_thread(read_state, run)
    if not state.ended and not may_change_rate(state):
        raise BackupError("The rate was not changed", cause="all is copied and verified")
    fixed = fixed_rates(run, state)
    downloads = isinstance(run, Run) and run.plan.source is Source.STREAM
    if len(fixed) == len(run.plan.disks) and not downloads:
        raise BackupError(
            f"The rate was not changed: {NOT_CONVERTED}",
            cause=f"qemu-img converts {', '.join(fixed)} at the rate that it began with",
            next_step="For another rate cancel it, and begin anew with that.",
        )
    await order(run, f"limit {bytes_s}")
    but = f"; {NOT_CONVERTED}: {', '.join(fixed)}" if fixed else ""
    return f"The copy goes on {bound_words(bytes_s)}{but}"


async def settle(run: AnyRun) -> None:
    """Pause the guest of a backup until its disks are merged; raises BackupError."""
    await order(run, "settle")


def _is_done(state: RunState, *steps: Step) -> bool:
    """Whether each of those steps was done."""
    return all(step.status is StepStatus.DONE for step in state.steps if step.step in steps)
