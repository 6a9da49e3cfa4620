"""The backups and restores of this user as a list, with what each of them needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tui.backup.follow import read_state
from tui.backup.journal import RunStage
from tui.backup.progress import StepStatus
from tui.backup.runs import AnyRun, Run, list_any_runs, worker_pid
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_RESCUE, RunState, StepState
from tui.backup.seen import SeenRuns
from tui.backup.telling import STEP_WORDS, overlay_alarm, step_facts
from tui.model.quantities import clock_time


class JobWord(StrEnum):
    """How a backup stands, in one word."""

    RUNNING = "running"
    WAITING = "waiting"
    """For the backups of other guests, which come first."""
    CANCELLING = "cancelling"
    """The order was given; its process tidies up, and will end."""
    DONE = "done"
    UNDONE = "undone"
    LESS = "done-with-less"
    FAILED = "failed"
    """Not made; the guest is as before."""
    VOID = "void"
    """The copy was begun and is worth nothing; the guest is as before."""
    STRANDED = "stranded"
    """The guest needs rescue."""


@dataclass(frozen=True, slots=True)
class Job:
    """One backup or restore with its state; `pid` is its worker's, None once it is gone."""

    run: AnyRun
    state: RunState
    pid: int | None

    @property
    def word(self) -> JobWord:
        """How it stands."""
        code = self.state.exit_code
        if self.state.cancelling_since is not None:
            return JobWord.CANCELLING
        if code is None:
            return JobWord.WAITING if self.state.waits_behind else JobWord.RUNNING
        if self.state.stage is RunStage.UNDONE:
            return JobWord.UNDONE
        words = {EXIT_DONE: JobWord.DONE, EXIT_LESS: JobWord.LESS, EXIT_RESCUE: JobWord.STRANDED}
        return words.get(code, JobWord.VOID if self.state.void else JobWord.FAILED)

    @property
    def doing(self) -> str:
        """What it does now or how it ended, in a few words."""
        if self.word is JobWord.WAITING:
            return f"for its turn, behind {self.state.waits_behind}"
        if self.state.exit_code is None:
            step = next((step for step in self.state.steps if step.status is StepStatus.RUNNING), None)
            doing = "starting" if step is None else self._step_words(step)
            if self.state.cancelling_since is not None:
                return f"since {clock_time(self.state.cancelling_since)}: {doing}"
            return "; ".join(filter(None, (doing, overlay_alarm(self.state))))
        if self.state.error is not None:
            return self.state.error.title
        return self.state.consistency or self.state.outcome

    def _step_words(self, step: StepState) -> str:
        between = ": " if step.doing else " "
        return f"{STEP_WORDS[step.step]}{between}{step_facts(self.state, step)}".strip()

    @property
    def saved(self) -> Path | None:
        """The folder of the backup that it made, whole and in its place; None for anything else."""
        made = isinstance(self.run, Run) and self.word in (JobWord.DONE, JobWord.LESS)
        return self.state.result if made else None

    def find_folder(self) -> str:
        """Where its copy is, or was begun; empty where there is none. Blocks for as long as its file system does."""
        partial = self.state.result.with_name(f"{self.state.result.name}.partial")
        return next((str(path) for path in (self.state.result, partial) if path.is_dir()), "")


def list_jobs() -> tuple[Job, ...]:
    """All runs of this user, newest first."""
    return tuple(job_of(run) for run in list_any_runs())


class JobList:
    """The same for whoever looks again and again: a run that has ended is read once."""

    def __init__(self) -> None:
        self._runs = SeenRuns()

    def look(self) -> tuple[Job, ...]:
        """All runs of this user, newest first; blocks."""
        return tuple(
            Job(seen.run, seen.state, None if seen.state.ended else worker_pid(seen.run)) for seen in self._runs.look()
        )


def job_of(run: AnyRun) -> Job:
    """One run as it stands now."""
    return Job(run, read_state(run), worker_pid(run))
