"""The runs this user has started, backups and restores: where they are kept, and whether their workers live."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from tui.backup.durable import read_text, replace_file, write_new
from tui.backup.errors import BackupError
from tui.backup.journal import ENDED, read_journal, read_object
from tui.backup.plan import PLAN_LIMIT, BackupPlan, InvalidPlanError, read_plan
from tui.backup.progress import Progress
from tui.backup.restore.plan import RestorePlan, is_restore, read_restore_plan
from tui.settings import PRIVATE_FOLDER, private_folder, state_folder

logger = logging.getLogger(__name__)
PLAN = "plan.json"
WORKER = "worker.json"
LOG = "worker.log"
DEFINITION, RUNNING_DEFINITION = "vm.xml", "vm.live.xml"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Run:
    """A backup that was started, running or not."""

    folder: Path
    plan: BackupPlan


@dataclass(frozen=True, slots=True)
class RestoreRun:
    """A restore that was started, running or not."""

    folder: Path
    plan: RestorePlan


AnyRun = Run | RestoreRun
"""A run of either kind: folder, journal, progress, worker and control socket are the same for both."""


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """What tells a process from a later one with the same number; `started` in clock ticks since boot."""

    pid: int
    started: int
    boot: str


def runs_folder() -> Path:
    """Where the runs are kept, one folder each."""
    return state_folder() / "runs"


@overload
def create_run(plan: BackupPlan, stand_in: int | None = None) -> Run: ...


@overload
def create_run(plan: RestorePlan, stand_in: int | None = None) -> RestoreRun: ...


def create_run(plan: BackupPlan | RestorePlan, stand_in: int | None = None) -> AnyRun:
    """Make the folder of a run with its plan; raises OSError.

    `stand_in` is the process that stands for the worker until that is noted: nobody finds the run abandoned meanwhile.
    """
    folder = private_folder(runs_folder()) / plan.run_id
    run = RestoreRun(folder, plan) if isinstance(plan, RestorePlan) else Run(folder, plan)
    run.folder.mkdir(mode=PRIVATE_FOLDER)
    if stand_in is not None:
        note_worker(run, stand_in)
    # A run is listed from here on.
    write_new(run.folder / PLAN, plan.to_json())
    return run


def keep_definitions(run: Run, stored_xml: str, live_xml: str) -> None:
    """Keep a guest's definitions, secrets included, with its run: a transient guest's are in no other place.

    Raises OSError.
    """
    write_new(run.folder / DEFINITION, stored_xml)
    write_new(run.folder / RUNNING_DEFINITION, live_xml)


def kept_definition(run: Run) -> Path | None:
    """The file from which a guest that is gone can be started again, on its own disks; None where it was not kept."""
    path = run.folder / DEFINITION
    return path if path.is_file() else None


def open_run(folder: Path) -> Run:
    """The backup's run in a folder; raises BackupError."""
    run = open_any_run(folder)
    if not isinstance(run, Run):
        raise BackupError("That run is a restore", cause=str(folder))
    return run


def open_any_run(folder: Path) -> AnyRun:
    """The run in a folder; raises BackupError."""
    try:
        text = read_text(folder / PLAN, PLAN_LIMIT + 1)
    except OSError as error:
        raise BackupError("There is no such run", cause=str(folder), original=str(error)) from error
    return RestoreRun(folder, read_restore_plan(text)) if is_restore(text) else Run(folder, read_plan(text))


def run_folders() -> tuple[Path, ...]:
    """What lies in the folder of runs, in no order."""
    try:
        return tuple(runs_folder().iterdir())
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            logger.warning("the runs cannot be listed: %s", error)
        return ()


def list_any_runs() -> tuple[AnyRun, ...]:
    """All runs of both kinds, newest first; folders without a readable plan are left out."""
    runs: list[AnyRun] = []
    for folder in run_folders():
        try:
            runs.append(open_any_run(folder))
        except (BackupError, InvalidPlanError):
            continue
    return tuple(sorted(runs, key=lambda run: (run.plan.stamp, run.plan.run_id), reverse=True))


def list_runs() -> tuple[Run, ...]:
    """All backups, newest first."""
    return tuple(run for run in list_any_runs() if isinstance(run, Run))


def list_restores() -> tuple[RestoreRun, ...]:
    """All restores, newest first."""
    return tuple(run for run in list_any_runs() if isinstance(run, RestoreRun))


def runs_of(host_name: str, uuid: str) -> tuple[Run, ...]:
    """The runs of one guest, newest first."""
    return tuple(run for run in list_runs() if (run.plan.host, run.plan.uuid) == (host_name, uuid))


def find_run(run_id: str) -> Run | None:
    """The backup of that id, None where this user has none."""
    return next((run for run in list_runs() if run.plan.run_id == run_id), None)


def find_any_run(run_id: str) -> AnyRun | None:
    """The run of that id, None where this user has none."""
    return next((run for run in list_any_runs() if run.plan.run_id == run_id), None)


def active_run(uuid: str, besides: str = "") -> AnyRun | None:
    """The run that works on a guest now, by whatever name its host went; not the one of id `besides`."""
    candidates = (run for run in list_any_runs() if run.plan.uuid == uuid and run.plan.run_id != besides)
    return next((run for run in candidates if is_active(run)), None)


def is_active(run: AnyRun) -> bool:
    """Whether a run's worker lives and has not come to its end."""
    entries = read_journal(run.folder)
    return worker_alive(run) and not (entries and entries[-1].stage in ENDED)


def process_mark(pid: int) -> ProcessMark | None:
    """The mark of a live process, None for one that is gone or a zombie (proc(5), field 22 of stat)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        boot = _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else ProcessMark(pid, int(fields[19]), boot)


def note_worker(run: AnyRun, pid: int) -> None:
    """Record which process works on a run; raises OSError."""
    mark = process_mark(pid)
    if mark is not None:
        values = {"pid": mark.pid, "started": mark.started, "boot": mark.boot}
        replace_file(run.folder / WORKER, json.dumps(values))


def worker_pid(run: AnyRun) -> int | None:
    """The process that works on a run, None when it is gone."""
    try:
        return living_pid(read_object(read_text(run.folder / WORKER, PLAN_LIMIT)))
    except OSError:
        return None


def living_pid(raw: Mapping[str, object] | None) -> int | None:
    """The process whose mark was written down, None where that was not one, or it is gone."""
    if raw is None or not isinstance(pid := raw.get("pid"), int) or pid <= 0:
        return None
    mark = process_mark(pid)
    alive = mark is not None and (mark.started, mark.boot) == (raw.get("started"), raw.get("boot"))
    return pid if alive else None


def worker_alive(run: AnyRun) -> bool:
    """Whether the process that works on a run is there."""
    return worker_pid(run) is not None


def cancel(run: AnyRun, signal_number: int) -> bool:
    """Send a signal to a run's worker, and tell so beside its progress; whether there was one."""
    pid = worker_pid(run)
    if pid is None:
        return False
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return False
    tell_cancelling(run)
    return True


def tell_cancelling(run: AnyRun) -> None:
    """Have everybody who follows a run see that it is being cancelled; the first to say so is heard."""
    try:
        with closing(Progress(run.folder)) as progress:
            progress.cancelling()
    except OSError as error:
        logger.warning("that %s is being cancelled could not be told: %s", run.plan.run_id, error)
