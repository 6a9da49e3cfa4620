"""The state of a run, folded from its journal and its progress lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from tui.backup.errors import Explained
from tui.backup.folder import result_folder
from tui.backup.journal import ENDED, Entry, RunStage
from tui.backup.plan import BackupPlan
from tui.backup.progress import BACKUP_STEPS, Step, StepStatus
from tui.backup.restore.plan import RestorePlan, RestoreWay, StopWay

EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE = 0, 1, 2, 3
"""Done as asked; done with less than asked; not done and the guest is as before; the guest needs rescue."""

ALARM_PERCENT = (50, 80)
"""Of the room an overlay had at first: its own bytes, and those that are still free beside it."""

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


@dataclass(frozen=True, slots=True)
class DiskProgress:
    """Bytes of one disk in one step, with the rate in bytes per second.

    `growth` is the rate at which the total grows; `waiting` says what the step waits for, if it does.
    `skipped` are the bytes of holes that were not copied.
    """

    target: str
    done: int = 0
    total: int = 0
    rate: float = 0.0
    growth: float = 0.0
    waiting: str = ""
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class OverlayState:
    """An overlay in use: its bytes on the disk, how fast they grow per second, and the bytes free beside it."""

    target: str
    bytes: int
    rate: float
    free: int

    @property
    def alarm(self) -> int:
        """Percent of its room that the overlay has passed, of those worth an alarm; 0 below the first."""
        room = self.bytes + self.free
        return max((step for step in ALARM_PERCENT if room and self.bytes * 100 >= step * room), default=0)

    @property
    def full_in_s(self) -> float | None:
        """Seconds until its file system is full at this rate, None while it does not grow."""
        return self.free / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class StepState:
    """Where one step stands, with its bytes over all disks; `eta_s` in seconds, None while it cannot be told.

    `doing` are the words of a step that runs and counts no bytes.
    """

    step: Step
    status: StepStatus = StepStatus.PENDING
    disks: tuple[DiskProgress, ...] = ()
    doing: str = ""

    @property
    def done(self) -> int:
        """Bytes done."""
        return sum(disk.done for disk in self.disks)

    @property
    def total(self) -> int:
        """Bytes to do, as far as known."""
        return sum(disk.total for disk in self.disks)

    @property
    def skipped(self) -> int:
        """Bytes of holes that were passed over."""
        return sum(disk.skipped for disk in self.disks)

    @property
    def rate(self) -> float:
        """Bytes per second over the last seconds, of the disks that are not done."""
        return sum(disk.rate for disk in self.disks if disk.done < disk.total)

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the present rate, less what comes in meanwhile; None where nothing is gained."""
        gain = self.rate - self.growth
        return (self.total - self.done) / gain if gain > 0 else None

    @property
    def growth(self) -> float:
        """Bytes per second that come in, of the disks that are not done."""
        return sum(disk.growth for disk in self.disks if disk.done < disk.total)

    @property
    def waiting(self) -> str:
        """What the step waits for, empty where it does not."""
        return next((disk.waiting for disk in self.disks if disk.waiting), "")


@dataclass(frozen=True, slots=True)
class RunState:
    """Everything a screen or the command line shows of a run.

    `stage` is None before the journal begins. `result` is where the copy is, or will be; `frozen_ms` an upper bound
    of the time for which the guest was frozen. `exit_code` is None until the run has ended. `way` is a restore's, None
    for a backup; `outcome` says in a sentence what a restore has led to. `waits_behind` names the guests whose backups
    come first, empty once it is this one's turn. `cancelling_since` is the Unix time in seconds of the order to cancel,
    None without one and once the run has ended. `began`, `snapshot_at` and `finished` are Unix times as well, as far
    as the journal has them.
    """

    run_id: str
    host: str
    guest: str
    uuid: str
    result: Path
    stage: RunStage | None = None
    steps: tuple[StepState, ...] = tuple(StepState(step) for step in BACKUP_STEPS)
    consistency: str = ""
    frozen_ms: float | None = None
    void: bool = False
    shortfalls: tuple[str, ...] = ()
    error: Explained | None = None
    exit_code: int | None = None
    overlays: tuple[OverlayState, ...] = ()
    way: RestoreWay | None = None
    outcome: str = ""
    waits_behind: str = ""
    cancelling_since: float | None = None
    began: float | None = None
    snapshot_at: float | None = None
    finished: float | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from its first act to its end, None before that."""
        return None if self.began is None or self.finished is None else max(self.finished - self.began, 0.0)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.exit_code is not None

    def to_json(self) -> dict[str, Any]:
        """The state as plain values for a JSON line."""
        return {**asdict(self), "result": str(self.result), "ended": self.ended}


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
