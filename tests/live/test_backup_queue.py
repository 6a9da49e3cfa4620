"""Several guests backed up in turn: by keys, by the command line, without whoever began it, and not at all."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from textual.widgets import Button, ContentSwitcher, DataTable, Static

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.backup_process import WORKER
from tests.live.held_worker import GO, HELD
from tests.live.piloted import until
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.backup.jobs import JobWord, job_of, list_jobs
from tui.backup.journal import RunStage, read_journal
from tui.backup.propose import propose
from tui.backup.queue import launch_queue
from tui.backup.runs import Run, cancel, list_runs
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.cli.connect import hosts_for
from tui.cli.workers import WORKER_ARGV
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import AgentSetup, GuestSpec
from tui.screens.backup_queue import BackupQueueScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.guests import GuestsScreen
from tui.screens.jobs import JobsScreen

GUESTS = ("first", "second", "third")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    """A laboratory with three guests, of which the last one's agent never answers."""
    async with Laboratory() as laboratory:
        for name in GUESTS[:2]:
            await laboratory.add(GuestSpec(name, writer=True))
            await laboratory.wait_for_agent(name)
        await laboratory.add(GuestSpec("third", agent=AgentSetup.NOT_STARTED))
        yield laboratory


async def at_home(host: Host, run: Run) -> None:
    """Nothing is left of a run on its guest."""
    facts = await facts_of(host, run.plan.guest)
    assert [disk.source for disk in facts.disks if disk.target == "vda"] == [run.plan.disks[0].base]
    assert await host.run_metadata(run.plan.uuid) is None
    assert await find_leftovers(host, (run.plan.uuid,)) == ()


async def until_word(run: Run, word: JobWord) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while job_of(run).word is not word:  # noqa: ASYNC110 - another process tells by its files
            await asyncio.sleep(0.05)


async def until_behind(run: Run, guest: str) -> None:
    """Wait for a worker's own word of whom it waits for."""
    async with asyncio.timeout(PATIENCE_S):
        while job_of(run).state.waits_behind != guest:  # noqa: ASYNC110 - another process tells by its files
            await asyncio.sleep(0.05)


def begun_after_the_end_of(later: Run, earlier: Run) -> bool:
    return read_journal(later.folder)[0].at >= read_journal(earlier.folder)[-1].at


def shown(app: QgaTui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


@pytest.mark.parametrize("size", [(80, 24), pytest.param((60, 20), marks=pytest.mark.long)])
async def test_marked_guests_are_backed_up_in_turn_by_keys_and_without_the_program(
    lab: Laboratory, host: Host, target: Path, size: tuple[int, int]
) -> None:
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == len(GUESTS))
        await pilot.press("a", "b")
        await until(pilot, lambda: isinstance(app.screen, BackupQueueScreen))
        await until(pilot, lambda: app.screen.query_one("#folder").has_focus)
        assert shown(app, "#names") == "first, second, third"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)
        plan = shown(app, "#plan")
        assert plan.startswith("2 of 3 can begin")
        assert all(f"\n{number} {name}" in plan for number, name in enumerate(GUESTS, 1))
        assert "✗ Guest agent: The guest agent is not connected" in plan
        assert str(app.screen.query_one("#start", Button).label) == "Back up 2 of 3 guests"
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, JobsScreen) and app.screen.query_one(DataTable).row_count == 2
        )
        assert [note.message for note in app._notifications] == ["3 marks were used and are taken away."]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        assert "marked" not in shown(app, "#hosts")
    runs = {run.plan.guest: run for run in list_runs()}
    assert sorted(runs) == ["first", "second"]
    for run in runs.values():
        state = await end_of(run)
        assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(run)
        assert (state.result / "RESTORE.md").is_file()
        await at_home(host, run)
    assert begun_after_the_end_of(runs["second"], runs["first"])


async def queue_held(host: Host, target: Path, names: tuple[str, ...]) -> tuple[Run, ...]:
    """Backups in turn, each of which stops once its copy is whole until it is told to go on."""
    plans = [(await propose(host, await facts_of(host, name), target)).plan for name in names]
    return launch_queue(plans, held_worker.argv("copied"))


async def until_held(run: Run) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (run.folder / HELD).exists():  # noqa: ASYNC110 - another process tells by its file
            await asyncio.sleep(0.05)


async def test_who_waits_can_be_cancelled_from_the_list_and_harms_nobody(
    lab: Laboratory, host: Host, target: Path
) -> None:
    first, second, third = await queue_held(host, target, GUESTS)
    await until_held(first)
    assert [str(job.word) for job in map(job_of, (first, second, third))] == ["running", "waiting", "waiting"]
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == len(GUESTS) and len(app.backups) == len(GUESTS))
        assert "1 backup running   · 2 waiting" in shown(app, "#hosts")
        await pilot.press("B")
        await until(
            pilot, lambda: isinstance(app.screen, JobsScreen) and app.screen.query_one(DataTable).row_count == 3
        )
        names = [job.run.plan.guest for job in list_jobs()]
        await pilot.press(*["j"] * names.index("second"))
        await until(pilot, lambda: "second waits for its turn, behind first" in shown(app, "#under-cursor"))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert "nothing happened to the guest" in str(app.screen.query(Static)[1].render())
        await pilot.press("y")
        state = await end_of(second)
        assert (state.exit_code, state.stage) == (EXIT_NOT_DONE, RunStage.FAILED)
        assert state.error is not None
        assert state.error.title == "The backup was cancelled before its turn came"
        await until(pilot, lambda: "was not made" in shown(app, "#under-cursor"))
    assert job_of(third).word is JobWord.WAITING
    (first.folder / GO).touch()
    assert (await end_of(first)).exit_code == EXIT_DONE
    await until_held(third)
    (third.folder / GO).touch()
    assert (await end_of(third)).exit_code != EXIT_NOT_DONE, log_of(third)
    for run in (first, second, third):
        await at_home(host, run)


async def test_a_backup_that_is_killed_lets_the_next_one_begin(lab: Laboratory, host: Host, target: Path) -> None:
    plans = [(await propose(host, await facts_of(host, name), target)).plan for name in GUESTS[:2]]
    first, second = launch_queue(plans, held_worker.argv("planned"))
    await until_held(first)
    assert cancel(first, signal.SIGKILL)
    await until_held(second)
    (second.folder / GO).touch()
    assert (await end_of(second)).exit_code == EXIT_DONE, log_of(second)
    await at_home(host, second)
    assert (await end_of(first)).exit_code == EXIT_NOT_DONE
    again = (await propose(host, await facts_of(host, "first"), target)).plan
    (run,) = launch_queue([again], WORKER)
    assert (await end_of(run)).exit_code == EXIT_DONE, log_of(run)


async def test_a_guest_that_waits_is_not_planned_twice(lab: Laboratory, host: Host, target: Path) -> None:
    first, second = await queue_held(host, target, GUESTS[:2])
    await until_held(first)
    app = QgaTui(hosts_for((lab.uri,)), WORKER_ARGV, target)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == len(GUESTS))
        await pilot.press("a", "b")
        await until(pilot, lambda: isinstance(app.screen, BackupQueueScreen))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "review")
        assert shown(app, "#plan").count("is running, or waits for its turn") == 2
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
    for run in (second, first):
        assert cancel(run, signal.SIGTERM)
    (first.folder / GO).touch()
    assert (await end_of(second)).exit_code == EXIT_NOT_DONE
    await end_of(first)
    await at_home(host, first)


async def begin_by_command(lab: Laboratory, target: Path, *, limit: int = 1) -> asyncio.subprocess.Process:
    """A queue whose copies take long enough to be met: `limit` is in MiB per second."""
    words = (sys.executable, "-m", "tui", "backup", "-c", lab.uri, *GUESTS, "--to", str(target), "--limit", str(limit))
    return await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True
    )


async def begun(count: int) -> dict[str, Run]:
    async with asyncio.timeout(PATIENCE_S):
        while len(list_runs()) < count:  # noqa: ASYNC110 - another process tells by its files
            await asyncio.sleep(0.05)
    return {run.plan.guest: run for run in list_runs()}


async def test_an_interrupt_ends_the_command_lines_queue_and_all_that_wait(
    lab: Laboratory, host: Host, target: Path
) -> None:
    process = await begin_by_command(lab, target)
    runs = await begun(2)
    await until_word(runs["second"], JobWord.WAITING)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == EXIT_NOT_DONE, (out, err)
    assert b"third cannot be backed up now" in err
    for run in runs.values():
        assert (await end_of(run)).exit_code == EXIT_NOT_DONE, log_of(run)
        await at_home(host, run)


@pytest.mark.parametrize("blow", [pytest.param(signal.SIGHUP, marks=pytest.mark.long), signal.SIGKILL])
async def test_a_command_line_that_dies_leaves_its_queue_to_itself(
    lab: Laboratory, host: Host, target: Path, blow: signal.Signals
) -> None:
    process = await begin_by_command(lab, target, limit=8)
    runs = await begun(2)
    if blow is signal.SIGKILL:
        # A process that is killed before it has started every worker has not begun what is missing.
        await until_behind(runs["second"], "first")
    process.send_signal(blow)
    await process.communicate()
    for name in GUESTS[:2]:
        state = await end_of(replace(runs[name]))
        assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(runs[name])
        await at_home(host, runs[name])
    assert begun_after_the_end_of(runs["second"], runs["first"])
