"""Runs that come one after the other: who waits for whom, how that is told, and what ends it."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.attention import at_work
from tui.backup.checks import Verdict
from tui.backup.errors import CancelledBackupError
from tui.backup.follow import read_state
from tui.backup.jobs import JobWord, job_of
from tui.backup.journal import Journal, RunStage
from tui.backup.plan import BackupPlan, InvalidPlanError, read_plan
from tui.backup.progress import Progress
from tui.backup.propose import Proposal
from tui.backup.queue import launch_queue, room_for_all, wait_for_turn
from tui.backup.reach import FileSystem
from tui.backup.runs import Run, create_run, list_runs, worker_pid
from tui.backup.telling import headline

SLEEPER = (sys.executable, "-c", "import sys; sys.stdin.close(); import time; time.sleep(600)")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def plans(count: int = 3) -> list[BackupPlan]:
    return [replace(a_plan(guest=f"web{number}"), run_id=f"0000000{number}") for number in range(1, count + 1)]


@pytest.fixture
def runs() -> tuple[Run, ...]:
    """Three runs that come one after the other, all with this process for a worker."""
    first, second, third = plans()
    ids = (first.run_id, second.run_id)
    wanted = (first, replace(second, after=ids[:1]), replace(third, after=ids))
    return tuple(create_run(plan, stand_in=os.getpid()) for plan in wanted)


async def until_told(run: Run, words: str) -> None:
    async with asyncio.timeout(30):
        while read_state(run).waits_behind != words:  # noqa: ASYNC110 - the file is the only word
            await asyncio.sleep(0.02)


async def test_a_run_waits_for_all_before_it_and_not_for_the_last_alone(runs: tuple[Run, ...]) -> None:
    first, second, third = runs
    turn = asyncio.create_task(wait_for_turn(third, asyncio.Event()))
    await until_told(third, "web1 and 1 other")
    Journal(second.folder).write(RunStage.FAILED, exit_code=2)
    await until_told(third, "web1")
    assert not turn.done()
    assert headline(read_state(third)) == "Backup of web3 waits for its turn, behind web1"
    Journal(first.folder).write(RunStage.DONE, exit_code=0)
    await turn
    assert read_state(third).waits_behind == ""
    assert job_of(third).word is JobWord.RUNNING


async def test_the_first_waits_for_nobody_and_neither_does_who_comes_after_a_dead_or_missing_one(
    runs: tuple[Run, ...],
) -> None:
    await wait_for_turn(runs[0], asyncio.Event())
    (runs[0].folder / "worker.json").unlink()
    await wait_for_turn(runs[1], asyncio.Event())
    lonely = create_run(replace(a_plan(), run_id="99999999", after=("88888888",)), stand_in=os.getpid())
    await wait_for_turn(lonely, asyncio.Event())


async def test_waiting_is_ended_by_the_order_to_stop(runs: tuple[Run, ...]) -> None:
    stop = asyncio.Event()
    turn = asyncio.create_task(wait_for_turn(runs[1], stop))
    await until_told(runs[1], "web1")
    stop.set()
    with pytest.raises(CancelledBackupError, match="before its turn"):
        await turn


def test_a_run_that_waits_is_no_work_on_its_guest(runs: tuple[Run, ...]) -> None:
    first, second, _ = runs
    assert (job_of(first).word, job_of(second).word) == (JobWord.RUNNING, JobWord.WAITING)
    assert job_of(second).doing == "for its turn, behind others"
    uuid = second.plan.uuid
    assert not at_work({uuid: read_state(second)}, uuid)
    with closing(Progress(second.folder)) as progress:
        progress.turn("")
    assert at_work({uuid: read_state(second)}, uuid)
    assert not at_work({}, uuid)


def test_a_journal_that_has_begun_ends_the_waiting_even_where_progress_was_lost(runs: tuple[Run, ...]) -> None:
    Journal(runs[1].folder).write(RunStage.PLANNED)
    assert read_state(runs[1]).waits_behind == ""


@pytest.fixture
def started() -> Iterator[tuple[Run, ...]]:
    """Three workers that sleep instead of working."""
    runs = launch_queue(plans(), SLEEPER)
    yield runs
    for run in runs:
        if (pid := worker_pid(run)) is not None:
            os.kill(pid, 9)


def test_every_worker_is_started_at_once_and_knows_who_comes_first(started: tuple[Run, ...]) -> None:
    assert len({worker_pid(run) for run in started} - {None}) == 3
    ids = tuple(run.plan.run_id for run in started)
    kept = {run.plan.run_id: run.plan.after for run in list_runs()}
    assert kept == {ids[0]: (), ids[1]: ids[:1], ids[2]: ids[:2]}


def test_a_queue_that_cannot_be_started_begins_nothing() -> None:
    with pytest.raises(FileNotFoundError):
        launch_queue(plans(), ["/nowhere/no-such-program"])
    assert list_runs() == ()


def test_who_comes_first_is_named_by_ids_alone() -> None:
    plan = replace(a_plan(), after=("0123abce",))
    assert read_plan(plan.to_json()) == plan
    with pytest.raises(InvalidPlanError):
        read_plan(plan.to_json().replace("0123abce", "../x"))


def test_the_target_needs_room_for_all_together() -> None:
    two = [Proposal(plan, (), (), 100 * MIB) for plan in plans(2)]
    assert room_for_all(two, FileSystem(1, 400 * MIB, writable=True)).verdict is Verdict.PASSED
    assert room_for_all(two, FileSystem(1, 300 * MIB, writable=True)).verdict is Verdict.WARNING
    assert room_for_all(two[:1], FileSystem(1, 300 * MIB, writable=True)).verdict is Verdict.PASSED
    assert room_for_all(two, None).verdict is Verdict.WARNING
