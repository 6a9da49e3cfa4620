"""`qga-tui jobs`: what backups there are, and orders to a running one."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass

from tui.backup.control import order
from tui.backup.errors import BackupError
from tui.backup.jobs import Job, job_of, list_jobs
from tui.backup.manifest import utc_words
from tui.backup.plan import stamp_words
from tui.backup.runs import find_any_run
from tui.backup.runstate import EXIT_DONE
from tui.backup.steering import change_rate, settle
from tui.backup.target import at_once
from tui.model.text import printable


@dataclass(frozen=True, slots=True)
class JobsWish:
    """What the user asked for: one run or all, an order to it, and the form of the answer."""

    run: str = ""
    cancel: bool = False
    settle: bool = False
    limit_bytes_s: int | None = None
    as_json: bool = False


def run_jobs(wish: JobsWish) -> int:
    """List the backups of this user, or give one an order; raises BackupError."""
    if wish.run:
        return _one(wish)
    if wish.cancel or wish.settle or wish.limit_bytes_s is not None:
        raise BackupError("An order is for one backup", next_step="Name it: qga-tui jobs RUN --cancel")
    jobs = list_jobs()
    if wish.as_json:
        print(json.dumps([job_fields(job) for job in jobs], indent=1))
    elif not jobs:
        print("No backup was made yet. Make one: qga-tui backup GUEST --to FOLDER")
    else:
        for job in jobs:
            _tell(job)
    return EXIT_DONE


def _one(wish: JobsWish) -> int:
    run = find_any_run(wish.run)
    if run is None:
        raise BackupError("There is no such backup", cause=wish.run, next_step="See them with: qga-tui jobs")
    if wish.limit_bytes_s is not None:
        done = asyncio.run(change_rate(run, wish.limit_bytes_s))
        print(printable(done), file=sys.stderr)
    if wish.settle:
        asyncio.run(settle(run))
    if wish.cancel:
        asyncio.run(order(run, "cancel"))
    job = job_of(run)
    if wish.as_json:
        print(json.dumps(job_fields(job), indent=1))
    else:
        _tell(job)
    return EXIT_DONE


def job_fields(job: Job) -> dict[str, object]:
    """A backup as plain values for JSON."""
    state = job.state
    error = None if state.error is None else {"title": state.error.title, "cause": state.error.cause}
    return {
        "run": state.run_id,
        "host": state.host,
        "guest": state.guest,
        "uuid": state.uuid,
        "stamp": job.run.plan.stamp,
        "state": str(job.word),
        "stage": None if state.stage is None else str(state.stage),
        "pid": job.pid,
        "progress": [
            {
                "step": str(step.step),
                "status": str(step.status),
                "done_bytes": step.done,
                "total_bytes": step.total,
                "skipped_bytes": step.skipped,
                "rate_bytes_s": round(step.rate),
                "eta_s": None if step.eta_s is None else round(step.eta_s, 1),
            }
            for step in state.steps
        ],
        "consistency": state.consistency,
        "frozen_ms": state.frozen_ms,
        "took_s": None if state.took_s is None else round(state.took_s, 1),
        "snapshot": None if state.snapshot_at is None else utc_words(state.snapshot_at),
        "exit_code": state.exit_code,
        "error": error,
        "folder": _folder_of(job) or None,
        "run_folder": str(job.run.folder),
    }


def _folder_of(job: Job) -> str:
    """Where its copy is; empty where there is none, and where its file system does not answer."""
    return at_once(job.find_folder, job.state.result.parent) or ""


def _tell(job: Job) -> None:
    worker = f" (process {job.pid})" if job.pid is not None else ""
    plan = job.run.plan
    when = stamp_words(plan.stamp)
    print(printable(f"{plan.run_id}  {when}  {plan.host}/{plan.guest}  {job.word}{worker}: {job.doing}"))
    if folder := _folder_of(job):
        print(printable(f"          {folder}"))
    if job.word == "stranded":
        print(printable(f"          Set it right: qga-tui -c {plan.uri} rescue {plan.guest} --apply"))
