"""The order to cancel is seen by everybody who looks, from when it is given until the run has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.control import Orders, listening, order
from tui.backup.follow import Follower, read_state
from tui.backup.jobs import JobWord, job_of
from tui.backup.journal import Journal, RunStage
from tui.backup.meter import Throttle
from tui.backup.progress import Progress, Step, StepStatus
from tui.backup.runs import Run, cancel, create_run, tell_cancelling
from tui.backup.runstate import EXIT_NOT_DONE
from tui.backup.telling import headline
from tui.backup.worker import _tell_when_cancelled
from tui.model.quantities import clock_time

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


@pytest.fixture
def run() -> Iterator[Run]:
    """A run whose worker lives and hears no signal."""
    worker = subprocess.Popen((sys.executable, "-c", STUBBORN), stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    run = create_run(replace(a_plan(), guest="web1"), stand_in=worker.pid)
    Journal(run.folder).write(RunStage.SNAPSHOT_TAKEN)
    with closing(Progress(run.folder)) as progress:
        progress.step(Step.COPY, StepStatus.RUNNING)
    yield run
    worker.stdout.close()
    worker.kill()
    worker.wait()


def test_the_order_is_told_with_its_time_until_the_run_has_ended(run: Run) -> None:
    following = Follower(run)
    assert following.read().cancelling_since is None
    assert cancel(run, signal.SIGTERM)
    since = following.read().cancelling_since
    assert since is not None
    assert headline(following.state) == f"Backup of web1 is being cancelled, since {clock_time(since)}: copy"
    job = job_of(run)
    assert (job.word, job.doing) == (JobWord.CANCELLING, f"since {clock_time(since)}: copy")
    Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE)
    tell_cancelling(run)
    assert following.read() == read_state(run)
    assert following.state.cancelling_since is None
    assert job_of(run).word is JobWord.FAILED


def test_a_second_order_does_not_change_since_when(run: Run) -> None:
    with closing(Progress(run.folder)) as progress:
        os.write(progress._descriptor, b'{"at": 1000.5, "cancelling": true}\n')
    tell_cancelling(run)
    assert read_state(run).cancelling_since == 1000.5


async def test_a_worker_tells_of_an_order_by_whatever_way_it_came(run: Run) -> None:
    stop = asyncio.Event()
    telling = asyncio.create_task(_tell_when_cancelled(run, stop))
    await asyncio.sleep(0)
    assert read_state(run).cancelling_since is None
    stop.set()
    await telling
    assert read_state(run).cancelling_since is not None


async def test_an_order_over_the_socket_is_told_before_it_returns(run: Run) -> None:
    orders = Orders(asyncio.Event(), Throttle(0))
    async with listening(run, orders):
        await order(run, "limit 1000")
        assert read_state(run).cancelling_since is None
        await order(run, "cancel")
    assert orders.stop.is_set()
    assert job_of(run).word is JobWord.CANCELLING


def test_a_restore_that_is_taken_up_to_be_undone_is_not_being_cancelled(run: Run) -> None:
    tell_cancelling(run)
    Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE)
    Journal(run.folder).write(RunStage.UNDOING)
    state = read_state(run)
    assert (state.ended, state.cancelling_since) == (False, None)


def test_a_worker_that_dies_of_it_leaves_no_order_behind(run: Run) -> None:
    tell_cancelling(run)
    (run.folder / "worker.json").unlink()
    assert (read_state(run).ended, read_state(run).cancelling_since) == (True, None)
    assert not cancel(run, signal.SIGTERM)
