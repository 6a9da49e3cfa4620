"""The state of a run, folded from its journal and its progress lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui.backup.errors import Explained
from tui.backup.journal import RunStage
from tui.backup.progress import BACKUP_STEPS, Step, StepStatus
from tui.backup.restore.plan import RestoreWay

EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE = 0, 1, 2, 3
"""Done as asked; done with less than asked; not done and the guest is as before; the guest needs rescue."""

ALARM_PERCENT = (50, 80)
"""Of the room an overlay had at first: its own bytes, and those that are still free beside it."""


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
