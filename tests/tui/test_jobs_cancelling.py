"""The list of backups and restores: one that is being cancelled, and one whose copy cannot be reached."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from tests.live.piloted import until
from tests.unit.backup_values import a_plan
from tui.app import QgaTui
from tui.backup.folder import result_folder
from tui.backup.jobs import Job
from tui.backup.journal import Journal, RunStage
from tui.backup.progress import Progress, Step, StepStatus
from tui.backup.runs import Run, create_run, tell_cancelling
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.screens.jobs import JobsScreen


def shown(app: QgaTui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def unwrapped(app: QgaTui) -> str:
    """What stands under the list, its lines joined."""
    return shown(app, "#under-cursor").replace("\n", "")


def states(app: QgaTui) -> list[str]:
    """The words in the column STATE, from the top."""
    table = app.screen.query_one(DataTable)
    return [str(table.get_row_at(at)[1]) for at in range(table.row_count)]


def offers_cancel(app: QgaTui) -> bool:
    return any(active.binding.action == "cancel" for active in app.screen.active_bindings.values())


async def open_jobs(pilot: Pilot[None], app: QgaTui, rows: int) -> JobsScreen:
    screen = JobsScreen()
    await app.push_screen(screen)
    await until(pilot, lambda: screen.query_one(DataTable).row_count == rows)
    return screen


def a_run(number: int, target: Path, guest: str) -> Run:
    return create_run(replace(a_plan(target=str(target)), run_id=f"0000000{number}", guest=guest), stand_in=os.getpid())


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_an_order_to_cancel_is_shown_on_its_row_until_the_run_has_ended(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    run = a_run(1, tmp_path, "web1")
    Journal(run.folder).write(RunStage.SNAPSHOT_TAKEN)
    with closing(Progress(run.folder)) as progress:
        progress.step(Step.COPY, StepStatus.RUNNING)
    app = QgaTui(())
    async with app.run_test(size=size) as pilot:
        await open_jobs(pilot, app, 1)
        await until(pilot, lambda: states(app) == ["running"] and offers_cancel(app))
        tell_cancelling(run)
        await until(pilot, lambda: states(app) == ["cancelling"])
        assert str(app.screen.query_one(DataTable).get_row_at(0)[-1]).startswith("since ")
        assert "is being cancelled, since" in shown(app, "#under-cursor")
        assert not offers_cancel(app)
        Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE)
        await until(pilot, lambda: states(app) == ["failed"])


@pytest.fixture
def fake_dead_mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Stands for a mount whose server never answers, below which the copy of `web1` lies; set, it answers."""
    answers = threading.Event()
    find = Job.find_folder

    def fake_find(job: Job) -> str:
        if job.state.guest == "web1":
            answers.wait()
        return find(job)

    monkeypatch.setattr(Job, "find_folder", fake_find)
    yield answers
    answers.set()


async def test_a_mount_that_does_not_answer_holds_up_no_key_and_is_asked_once(
    tmp_path: Path, fake_dead_mount: threading.Event
) -> None:
    for number, guest in ((1, "web1"), (2, "web2")):
        run = a_run(number, tmp_path, guest)
        result_folder(run.plan).final.mkdir(parents=True)
        Journal(run.folder).write(RunStage.DONE, exit_code=EXIT_DONE)
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_jobs(pilot, app, 2)
        await until(pilot, lambda: "Backup of web2 is done" in shown(app, "#under-cursor"))
        await until(pilot, lambda: "looking for" not in shown(app, "#under-cursor"))
        for _ in range(3):
            await pilot.press("down")
            await until(pilot, lambda: "Backup of web1 is done" in shown(app, "#under-cursor"))
            assert f"looking for {tmp_path}" in unwrapped(app)
            await pilot.press("up")
            await until(pilot, lambda: "Backup of web2 is done" in shown(app, "#under-cursor"))
            assert str(tmp_path) in unwrapped(app)
        await screen._look()
        asking = [each for each in threading.enumerate() if each.name.startswith("fake_find")]
        assert [each.daemon for each in asking] == [True]
        await pilot.press("down")
        fake_dead_mount.set()
        await until(pilot, lambda: "looking for" not in shown(app, "#under-cursor"))
        assert str(tmp_path) in unwrapped(app)
