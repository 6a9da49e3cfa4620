"""The folding of a run's journal and progress lines into its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tui.backup.errors import Explained
from tui.backup.folder import result_folder
from tui.backup.journal import ENDED, Entry, RunStage
from tui.backup.plan import BackupPlan
from tui.backup.progress import BACKUP_STEPS, Step, StepStatus
from tui.backup.restore.plan import RestorePlan, RestoreWay, StopWay
from tui.backup.runstate import (
    EXIT_LESS,
    EXIT_NOT_DONE,
    EXIT_RESCUE,
    DiskProgress,
    OverlayState,
    RunState,
    StepState,
)

DIED = Explained(
    "The backup's process died",
    cause="it was killed, or the machine went down",
    next_step="The guest is on its own disks. Make the backup again.",
)


RESTORE_DIED = Explained(
    "The restore's process died",
    cause="it was killed, or the machine went down",
    next_step="Delete nothing. Finish or undo it: qga-tui rescue --apply.",
)


def first_state(plan: BackupPlan | RestorePlan) -> RunState:
    """The state of a run of which nothing was heard yet; every planned disk is named in the steps with bytes."""
    if isinstance(plan, RestorePlan):
        return _first_restore_state(plan)
    with_bytes = (Step.COPY, Step.VERIFY, Step.COMMIT)
    disks = tuple(DiskProgress(disk.target) for disk in plan.disks)
    steps = tuple(StepState(step, disks=disks if step in with_bytes else ()) for step in BACKUP_STEPS)
    waits_behind = "others" if plan.after else ""
    final = result_folder(plan).final
    return RunState(plan.run_id, plan.host, plan.guest, plan.uuid, final, steps=steps, waits_behind=waits_behind)


def _first_restore_state(plan: RestorePlan) -> RunState:
    disks = tuple(DiskProgress(disk.name, total=disk.data_bytes) for disk in plan.disks)
    steps = tuple(
        StepState(step, disks=disks if step in (Step.VERIFY, Step.COPY) else ()) for step in restore_steps(plan)
    )
    result = Path(plan.own_folder) if plan.own_folder else Path(plan.disks[0].to).parent
    return RunState(plan.run_id, plan.host, plan.guest, plan.uuid, result, steps=steps, way=plan.way)


def restore_steps(plan: RestorePlan) -> tuple[Step, ...]:
    """The parts of a restore that a user sees, in their order."""
    wanted = (
        (Step.PREPARE, True),
        (Step.VERIFY, True),
        (Step.COPY, True),
        (Step.STOP, plan.stop is not StopWay.NONE),
        (Step.PLACE, True),
        (Step.DEFINE, plan.way is not RestoreWay.DISK),
        (Step.BOOT, plan.way is RestoreWay.BOOT_TEST),
    )
    return tuple(step for step, holds in wanted if holds)


def with_entry(state: RunState, entry: Entry) -> RunState:
    """The state after a line of the journal."""
    details = entry.details
    if entry.stage is RunStage.NOTICED:
        return state
    began = entry.at if state.began is None else state.began
    state = replace(state, stage=entry.stage, waits_behind="", began=began)
    if entry.stage is RunStage.SNAPSHOT_TAKEN:
        return replace(
            state,
            consistency=str(details.get("consistency", "")),
            frozen_ms=_number(details.get("frozen_ms")) if details.get("file_systems") else None,
            snapshot_at=entry.at,
        )
    if entry.stage is RunStage.VOID:
        return replace(state, void=True, error=_explained(details.get("error")))
    if entry.stage in ENDED:
        shortfalls = details.get("shortfalls")
        code = details.get("exit_code")
        state = replace(
            state,
            shortfalls=tuple(str(text) for text in shortfalls) if isinstance(shortfalls, list) else (),
            error=_explained(details.get("error")),
            exit_code=code if isinstance(code, int) else EXIT_RESCUE,
            outcome=str(details.get("outcome", "")),
            cancelling_since=None,
            finished=entry.at,
        )
        return _with_failed_step(state) if entry.stage is RunStage.FAILED else state
    # A restore that had ended is taken up again to be undone.
    return replace(state, exit_code=None, error=None) if entry.stage is RunStage.UNDOING else state


def with_progress(state: RunState, line: Mapping[str, object]) -> RunState:
    """The state after a line of the progress file; what cannot be understood changes nothing."""
    if isinstance(line.get("overlay"), str):
        told = OverlayState(
            str(line["overlay"]),
            int(_number(line.get("bytes"))),
            _number(line.get("rate")),
            int(_number(line.get("free"))),
        )
        others = tuple(each for each in state.overlays if each.target != told.target)
        return replace(state, overlays=tuple(sorted((*others, told), key=lambda each: each.target)))
    if isinstance(line.get("waits_behind"), str):
        return replace(state, waits_behind=str(line["waits_behind"]))
    if line.get("cancelling") is True and not state.ended:
        return replace(state, cancelling_since=state.cancelling_since or _number(line.get("at")))
    name = line.get("step")
    if name not in list(Step):
        return state
    steps = tuple(_stepped(step, line) if step.step == name else step for step in state.steps)
    return replace(state, steps=steps)


def without_worker(state: RunState) -> RunState:
    """The state of a run whose worker is gone; unchanged where the run had come to its end."""
    if state.ended:
        return state
    state = replace(state, cancelling_since=None)
    if state.way is not None:
        untouched = state.stage in (None, RunStage.PLANNED)
        code = EXIT_NOT_DONE if untouched else EXIT_RESCUE
        return _with_failed_step(replace(state, error=RESTORE_DIED, exit_code=code))
    harmless = {None: EXIT_NOT_DONE, RunStage.PLANNED: EXIT_NOT_DONE, RunStage.PIVOTED: EXIT_LESS}
    code = harmless.get(state.stage, EXIT_RESCUE)
    if code == EXIT_LESS and state.void:
        code = EXIT_NOT_DONE
    leads = {EXIT_RESCUE: "Delete nothing. ", EXIT_LESS: "The guest is on its own disks. To tidy up: "}
    error = replace(DIED, next_step=leads[code] + _rescue_words(state.guest)) if code in leads else DIED
    return _with_failed_step(replace(state, error=error, exit_code=code))


def _rescue_words(guest: str) -> str:
    return f"Press B in the list of guests, or run: qga-tui rescue {quote(guest)} --apply"


def _stepped(step: StepState, line: Mapping[str, object]) -> StepState:
    if line.get("status") in list(StepStatus):
        return replace(step, status=StepStatus(str(line["status"])), doing="")
    if isinstance(line.get("doing"), str):
        return replace(step, doing=str(line["doing"]))
    if not isinstance(line.get("disk"), str):
        return step
    told = DiskProgress(
        str(line["disk"]),
        int(_number(line.get("done"))),
        int(_number(line.get("total"))),
        _number(line.get("rate")),
        _number(line.get("growth")),
        str(line.get("waiting", "")),
        int(_number(line.get("skipped"))),
    )
    return replace(step, disks=tuple(told if disk.target == told.target else disk for disk in step.disks))


def _with_failed_step(state: RunState) -> RunState:
    steps = tuple(
        replace(step, status=StepStatus.FAILED) if step.status is StepStatus.RUNNING else step for step in state.steps
    )
    return replace(state, steps=steps)


def _number(raw: object) -> float:
    return max(float(raw), 0.0) if isinstance(raw, int | float) else 0.0


def _explained(raw: object) -> Explained | None:
    if not isinstance(raw, dict):
        return None
    return Explained(*(str(raw.get(key, "")) for key in ("title", "cause", "next_step", "original")))
