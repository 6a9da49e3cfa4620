"""From a backup that is done straight to what can be done with it, by a key and a button; from no other run."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, DataTable, Input, Static

from tests.live.piloted import until
from tests.tui.sample import guest
from tests.unit.backup_values import a_plan
from tests.unit.saved_folder import write_backup
from tui.app import QgaTui
from tui.backup.folder import result_folder
from tui.backup.jobs import Job
from tui.backup.journal import Journal, RunStage
from tui.backup.last_target import keep_target
from tui.backup.runs import Run, create_run
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentState
from tui.screens.backup import BackupScreen
from tui.screens.jobs import JobsScreen
from tui.screens.restore import RestoreScreen
from tui.widgets.run_pane import RunPane


def a_run(target: Path, number: int, stage: RunStage, exit_code: int) -> Run:
    """A backup's run that has ended so, with its folder."""
    run = create_run(replace(a_plan(target=str(target)), run_id=f"0000000{number}"))
    write_backup(result_folder(run.plan).final)
    Journal(run.folder).write(stage, exit_code=exit_code, error=None, shortfalls=[])
    return run


def offers_restore(app: QgaTui) -> bool:
    return "restore" in {active.binding.action for active in app.screen.active_bindings.values()}


async def open_jobs(pilot: Pilot[None], app: QgaTui, rows: int) -> JobsScreen:
    screen = JobsScreen()
    await app.push_screen(screen)
    await until(pilot, lambda: screen.query_one(DataTable).row_count == rows)
    return screen


async def test_the_jobs_lead_from_a_finished_backup_to_its_restore(tmp_path: Path) -> None:
    runs = [
        a_run(tmp_path, 3, RunStage.DONE, EXIT_DONE),
        a_run(tmp_path, 2, RunStage.DONE, EXIT_LESS),
        a_run(tmp_path, 1, RunStage.FAILED, EXIT_NOT_DONE),
    ]
    app = QgaTui((LibvirtHost("test:///default", "here"),))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_jobs(pilot, app, len(runs))
        for _ in runs[:2]:
            await until(pilot, lambda: offers_restore(app))
            await pilot.press("R")
            await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)
            await pilot.press("down")
        await until(pilot, lambda: not offers_restore(app))
        await pilot.press("R")
        await pilot.pause()
        assert app.screen is screen


async def test_a_backup_that_was_deleted_since_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path, 1, RunStage.DONE, EXIT_DONE)
    shutil.rmtree(result_folder(run.plan).final)
    app = QgaTui(())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_jobs(pilot, app, 1)
        await until(pilot, lambda: offers_restore(app))
        await pilot.press("R")
        await until(pilot, lambda: any("no finished backup" in note.message for note in app._notifications))
        assert app.screen is screen


@pytest.mark.parametrize("by", ["key", "button"])
async def test_the_screen_of_a_finished_backup_leads_to_its_restore(tmp_path: Path, by: str) -> None:
    run = a_run(tmp_path, 1, RunStage.DONE, EXIT_DONE)
    host = LibvirtHost("test:///default", "here")
    app = QgaTui((host,))
    async with app.run_test(size=(60, 20)) as pilot:
        screen = BackupScreen(host, guest("web 1", AgentState.RESPONDING, host="here"), (), tmp_path, run)
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one("#restore").has_focus and offers_restore(app))
        await pilot.press("R" if by == "key" else "enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.query_one("#new", Button).press()
        await until(pilot, lambda: not offers_restore(app))


async def test_the_screen_of_a_failed_backup_offers_no_restore(tmp_path: Path) -> None:
    run = a_run(tmp_path, 1, RunStage.FAILED, EXIT_NOT_DONE)
    host = LibvirtHost("test:///default", "here")
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = BackupScreen(host, guest("web 1", AgentState.RESPONDING, host="here"), (), tmp_path, run)
        await app.push_screen(screen)
        await until(pilot, lambda: "was not made" in str(screen.query_one("#headline", Static).render()))
        assert not screen.query_one("#restore").display
        await until(pilot, lambda: screen.query_one("#new").has_focus)
        assert not offers_restore(app)


async def test_the_cursor_stays_on_its_run_when_another_comes_above(tmp_path: Path) -> None:
    a_run(tmp_path, 1, RunStage.DONE, EXIT_DONE)
    kept = a_run(tmp_path, 2, RunStage.FAILED, EXIT_NOT_DONE)
    app = QgaTui((LibvirtHost("test:///default", "here"),))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_jobs(pilot, app, 2)
        while (row := screen._row()) is None or not isinstance(row, Job) or row.run.plan.run_id != kept.plan.run_id:
            await pilot.press("down")
        a_run(tmp_path, 3, RunStage.DONE, EXIT_DONE)
        a_run(tmp_path, 4, RunStage.DONE, EXIT_DONE)
        await until(pilot, lambda: screen.query_one(DataTable).row_count == 4)
        row = screen._row()
        assert isinstance(row, Job)
        assert row.run.plan.run_id == kept.plan.run_id


@pytest.mark.parametrize(("host", "offered"), [("here", "last"), ("there", "settings")])
async def test_the_folder_of_the_hosts_last_backup_is_offered_before_that_of_the_settings(
    tmp_path: Path, host: str, offered: str
) -> None:
    keep_target(("here",), tmp_path / "last")
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        one = guest("web1", AgentState.RESPONDING, host=host)
        screen = BackupScreen(LibvirtHost("test:///default", host), one, (), tmp_path / "settings")
        await app.push_screen(screen)
        await until(pilot, lambda: screen.query_one("#folder").has_focus)
        assert screen.query_one("#folder", Input).value == str(tmp_path / offered)


async def test_when_a_backup_ends_the_focus_goes_from_what_is_gone_to_what_comes_next(tmp_path: Path) -> None:
    run = create_run(replace(a_plan(target=str(tmp_path)), run_id="00000001"), stand_in=os.getpid())
    Journal(run.folder).write(RunStage.SNAPSHOT_TAKEN)
    shortfalls = [f"shortfall {number}" for number in range(20)]
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        one = guest("web 1", AgentState.RESPONDING, host="here")
        screen = BackupScreen(LibvirtHost("test:///default", "here"), one, (), tmp_path, run)
        await app.push_screen(screen)
        await until(pilot, lambda: bool(screen.query_one("#cancel").display))
        screen.query_one("#cancel").focus()
        await until(pilot, lambda: screen.query_one("#cancel").has_focus)
        write_backup(result_folder(run.plan).final)
        Journal(run.folder).write(RunStage.DONE, exit_code=EXIT_LESS, error=None, shortfalls=shortfalls)
        await until(pilot, lambda: screen.query_one("#restore").has_focus)
        pane = screen.query_one(RunPane)
        await pilot.press("down", "down", "up")
        await until(pilot, lambda: pane.scroll_y == 1)
        await pilot.press("pagedown")
        await until(pilot, lambda: pane.scroll_y > 2)
        assert screen.query_one("#restore").has_focus
