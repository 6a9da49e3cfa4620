"""Starting a backup or a restore as a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import overload

from tui.backup.own_scope import scope_words
from tui.backup.plan import BackupPlan
from tui.backup.restore.plan import RestorePlan
from tui.backup.runs import LOG, AnyRun, RestoreRun, Run, create_run, note_worker
from tui.settings import PRIVATE_FILE


@overload
def launch(plan: BackupPlan, argv: Sequence[str]) -> Run: ...


@overload
def launch(plan: RestorePlan, argv: Sequence[str]) -> RestoreRun: ...


def launch(plan: BackupPlan | RestorePlan, argv: Sequence[str]) -> AnyRun:
    """Start a worker that outlives this process and its terminal; returns at once. Raises OSError.

    `argv` is the command that runs `run_worker`, to which the run's folder is appended.
    """
    run = create_run(plan, stand_in=os.getpid())
    try:
        process = _start(run, argv)
    except OSError:
        # Nothing was begun: a run without a worker would only be taken for an abandoned one.
        shutil.rmtree(run.folder)
        raise
    note_worker(run, process.pid)
    # Reaps the worker if this process is still there when it ends.
    threading.Thread(target=process.wait, name=f"run-{plan.run_id}", daemon=True).start()
    return run


def _start(run: AnyRun, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    log = os.open(run.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    try:
        return subprocess.Popen(
            [*scope_words(), *argv, str(run.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # A worker must not keep a mounted folder busy.
            cwd="/",
        )
    finally:
        os.close(log)
