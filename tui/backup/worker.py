"""The process a backup or a restore runs in: it belongs to no terminal, and leaves no guest in between two states."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tui.backup.control import Orders, listening
from tui.backup.engine import Backup
from tui.backup.errors import BackupError, explained
from tui.backup.journal import Journal, RunStage, read_journal
from tui.backup.lock import guest_lock
from tui.backup.meter import Throttle
from tui.backup.queue import wait_for_turn
from tui.backup.restore.engine import Restore
from tui.backup.runs import AnyRun, RestoreRun, Run, note_worker, open_any_run, tell_cancelling
from tui.backup.runstate import EXIT_NOT_DONE
from tui.backup.session import Connect, HostSession, Patience


async def run_worker(
    run_folder: Path, connect: Connect, watchdog_argv: Sequence[str], patience: Patience | None = None
) -> int:
    """The process's main: carry out the plan in `run_folder`; returns the exit code.

    `watchdog_argv` is the command that runs `run_watchdog`, to which the run's folder is appended. SIGTERM and SIGINT
    cancel: the copy is given up and the former state brought back. SIGHUP is ignored. A backup that comes after others
    waits for them first. Raises BackupError where the
    folder holds no plan, or the run has begun before.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run = open_any_run(run_folder)
    orders = Orders(asyncio.Event(), Throttle(run.plan.limit_bytes_s))
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, orders.stop.set)
    if read_journal(run.folder):
        raise BackupError("The run has begun already", cause=run.plan.run_id, next_step="Plan a new one.")
    note_worker(run, os.getpid())
    telling = asyncio.create_task(_tell_when_cancelled(run, orders.stop))
    async with listening(run, orders):
        with ExitStack() as held:
            try:
                if isinstance(run, Run):
                    await wait_for_turn(run, orders.stop)
                held.enter_context(guest_lock(run.plan.uuid))
            except BackupError as error:
                Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE, error=asdict(explained(error)))
                return EXIT_NOT_DONE
            patience = patience or Patience()
            session = HostSession(connect, run.plan.uri, patience)
            try:
                if isinstance(run, RestoreRun):
                    return await Restore(session, run, orders, patience).run()
                return await Backup(session, run, watchdog_argv, orders, patience).run()
            finally:
                telling.cancel()
                await session.close()


async def _tell_when_cancelled(run: AnyRun, stop: asyncio.Event) -> None:
    """By whatever way the order came."""
    await stop.wait()
    tell_cancelling(run)
