"""A run's state in words: one line per step, for the screen and the terminal alike. Pure."""

from __future__ import annotations

from tui.backup.journal import RunStage
from tui.backup.progress import Step, StepStatus
from tui.backup.proof import Reading
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, RunState, StepState
from tui.model.quantities import clock_time, duration, moment, size

STATUS_GLYPHS: dict[StepStatus, str] = {
    StepStatus.PENDING: "·",
    StepStatus.RUNNING: "▸",
    StepStatus.DONE: "✓",
    StepStatus.FAILED: "✗",
}

STEP_WORDS: dict[Step, str] = {
    Step.PREPARE: "prepare",
    Step.FREEZE: "freeze, snapshot, thaw",
    Step.COPY: "copy",
    Step.VERIFY: "verify",
    Step.COMMIT: "commit and pivot",
    Step.TIDY: "clean up",
    Step.STOP: "put the guest off",
    Step.PLACE: "put in place",
    Step.DEFINE: "define and read back",
    Step.BOOT: "boot, ask the agent",
}


SETTLE_WORDS = (
    "the merge does not gain; to pause the guest until it is done press p on the backup, "
    "or run: qga-tui jobs {run} --settle"
)


FAR_S = 7 * 24 * 3600
"""Seconds from which on it is of no interest when a file system will be full."""


def fraction(step: StepState) -> float | None:
    """How much of a step is done, from 0 to 1; None where it has no bytes to count. A done step is all done."""
    if step.total and step.status is StepStatus.DONE:
        return 1.0
    return min(step.done / step.total, 1.0) if step.total else None


def step_facts(state: RunState, step: StepState) -> str:
    """What stands behind a step's bar: bytes, rate and time left while it runs, what came of it afterwards."""
    if step.step is Step.FREEZE and step.status is StepStatus.DONE:
        if state.frozen_ms is None:
            return state.consistency
        return f"{state.consistency}, frozen {state.frozen_ms:.0f} ms at most"
    if step.doing and step.status is StepStatus.RUNNING:
        return step.doing
    if step.waiting and step.status is StepStatus.RUNNING and not step.total:
        return f"waiting: {step.waiting}"
    if not step.total or step.status is StepStatus.PENDING:
        return ""
    counted = f"{size(step.done)} of {size(step.total)}"
    skipped = f", {size(step.skipped)} of holes" if step.skipped and step.step is Step.COPY else ""
    if step.status is StepStatus.DONE:
        return size(step.total) + skipped
    if step.status is not StepStatus.RUNNING:
        return counted
    rate = f", {size(step.rate)}/s" if step.rate else ""
    if step.waiting:
        return f"{counted}, waiting: {step.waiting}"
    if step.step is Step.COMMIT and step.growth:
        gains = "the merge gains" if step.rate > step.growth else SETTLE_WORDS.format(run=state.run_id)
        rate += f", the guest writes {size(step.growth)}/s: {gains}"
    left = f", {duration(step.eta_s)} left" if step.eta_s is not None else ""
    return counted + rate + left + skipped


def overlay_alarm(state: RunState) -> str:
    """What has to be done soon about a running backup, in one sentence; empty while nothing has."""
    worst = max(state.overlays, key=lambda each: each.alarm, default=None)
    if state.ended or worst is None or not worst.alarm:
        return ""
    return (
        f"the guest's writes fill {worst.alarm} % of their room ({worst.target}): "
        f"make room, or cancel: qga-tui jobs {state.run_id} --cancel"
    )


def overlay_facts(state: RunState) -> tuple[str, ...]:
    """How the overlays grow and when their file system is full, a line for each; none once the run has ended."""
    if state.ended:
        return ()
    lines: list[str] = []
    for each in state.overlays:
        near = each.full_in_s is not None and each.full_in_s < FAR_S
        full = f", full in {duration(each.full_in_s or 0)} at this rate" if near else ""
        grows = f", growing {size(each.rate)}/s" if each.rate else ""
        alarm = f"! {each.alarm} % of its room is used: " if each.alarm else ""
        lines.append(
            f"{alarm}overlay of {each.target}: {size(each.bytes)}{grows}, {size(each.free)} free beside it{full}"
        )
    return tuple(lines)


def reading_facts(reading: Reading) -> str:
    """How far a look at a backup is, in one line: share, bytes, rate, time left, file."""
    share = int(100 * reading.done / reading.total) if reading.total else 0
    rate = f", {size(reading.rate)}/s" if reading.rate else ""
    left = f", {duration(reading.eta_s)} left" if reading.eta_s is not None else ""
    return f"{share:3d} %  {size(reading.done)} of {size(reading.total)}{rate}{left}  {reading.file}"


def doing_words(state: RunState) -> str:
    """The step that a run is in, in a few words."""
    running = next((step for step in state.steps if step.status is StepStatus.RUNNING), None)
    return "starting" if running is None else STEP_WORDS[running.step]


def result_facts(state: RunState) -> str:
    """The disks that a finished backup holds, how long it took, and of when they are; empty for anything else."""
    if state.way is not None or state.exit_code not in (EXIT_DONE, EXIT_LESS) or state.took_s is None:
        return ""
    disks = ", ".join(disk.target for step in state.steps if step.step is Step.COPY for disk in step.disks)
    of = "" if state.snapshot_at is None else f", as at {moment(state.snapshot_at)}"
    return f"{disks} in {duration(state.took_s)}{of}"


def headline(state: RunState) -> str:
    """How the run stands, in one sentence."""
    name = f"{'Backup' if state.way is None else 'Restore'} of {state.guest}"
    if state.cancelling_since is not None:
        return f"{name} is being cancelled, since {clock_time(state.cancelling_since)}: {doing_words(state)}"
    if state.exit_code is None and state.waits_behind:
        return f"{name} waits for its turn, behind {state.waits_behind}"
    if state.exit_code is None:
        alarm = overlay_alarm(state)
        return f"{name} is running: {doing_words(state)}{f'; {alarm}' if alarm else ''}"
    if state.way is not None:
        return _restore_headline(name, state)
    if state.exit_code == EXIT_DONE:
        return f"{name} is done and verified"
    if state.exit_code == EXIT_LESS:
        return f"{name} is done, with less than asked"
    if state.exit_code == EXIT_NOT_DONE:
        return f"{name} was not made; the guest is as before"
    return f"{name} broke off: the guest has to be brought back"


def _restore_headline(name: str, state: RunState) -> str:
    if state.exit_code in (EXIT_DONE, EXIT_LESS):
        how = "was undone" if state.stage is RunStage.UNDONE else "is done"
        less = ", with less than asked" if state.exit_code == EXIT_LESS else ""
        return f"{name} {how}{less}{f': {state.outcome}' if state.outcome else ''}"
    if state.exit_code == EXIT_NOT_DONE:
        return f"{name} was not made; everything is as before"
    return f"{name} was left half done: nothing is lost, finish or undo it with qga-tui rescue --apply"
