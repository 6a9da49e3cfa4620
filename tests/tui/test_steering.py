"""Orders by key to a backup that runs, on its screen and on its row in the list; its process is this one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import DataTable, Input

from tests.live.piloted import until
from tests.tui import sample
from tests.unit.backup_values import a_plan
from tui.app import QgaTui
from tui.backup.control import Orders, listening
from tui.backup.meter import Throttle
from tui.backup.progress import Progress, Step, StepStatus
from tui.backup.runs import Run, create_run, tell_cancelling
from tui.hosts.libvirt_host import LibvirtHost
from tui.screens.backup import BackupScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.jobs import JobsScreen
from tui.screens.line import LineScreen

PLACES = ("screen", "row")


def a_run(target: Path, *, compact: bool = False) -> Run:
    return create_run(replace(a_plan(target=str(target)), compact=compact), stand_in=os.getpid())


def tell(run: Run, *steps: tuple[Step, StepStatus]) -> None:
    with closing(Progress(run.folder)) as progress:
        for step, status in steps:
            progress.step(step, status)


def keys(app: App[None]) -> set[str]:
    """The orders that have a key now."""
    offered = {active.binding.action for active in app.screen.active_bindings.values() if active.enabled}
    return offered & {"cancel", "limit", "settle"}


def said(app: App[None]) -> str:
    return " ".join(f"{note.title} {note.message}" for note in app._notifications)


@asynccontextmanager
async def shown(run: Run, place: str) -> AsyncIterator[tuple[QgaTui, Pilot[None], Orders]]:
    """The run at a place of the program, and what its process was ordered."""
    app, orders = QgaTui(()), Orders(asyncio.Event(), Throttle(1_000_000))
    async with listening(run, orders), app.run_test(size=(80, 24)) as pilot:
        (guest, *_) = sample.every_state().guests.values()
        screen: Screen[None] | BackupScreen = JobsScreen()
        if place == "screen":
            screen = BackupScreen(LibvirtHost("test:///default", "here"), guest, (), Path("/backups"), run)
        await app.push_screen(screen)
        if isinstance(screen, JobsScreen):
            await until(pilot, lambda: screen.query_one(DataTable).row_count == 1)
        yield app, pilot, orders


@pytest.mark.parametrize("place", PLACES)
async def test_the_rate_that_is_typed_holds_from_then_on(tmp_path: Path, place: str) -> None:
    run = a_run(tmp_path)
    tell(run, (Step.COPY, StepStatus.RUNNING))
    async with shown(run, place) as (app, pilot, orders):
        await until(pilot, lambda: keys(app) == {"cancel", "limit"})
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("2", ".", "5", "enter")
        await until(pilot, lambda: "The copy goes on at most 2.5 MB/s" in said(app))
        assert orders.throttle.bytes_s == 2_500_000
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("0", "enter")
        await until(pilot, lambda: "The copy goes on without a limit" in said(app))
        assert orders.throttle.bytes_s == 0


@pytest.mark.parametrize("typed", ["many", "-1", ""])
async def test_what_is_no_rate_changes_nothing(tmp_path: Path, typed: str) -> None:
    run = a_run(tmp_path)
    async with shown(run, "row") as (app, pilot, orders):
        await until(pilot, lambda: "limit" in keys(app))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen))
        assert (f"not a rate in MB/s: {typed}" in said(app)) is bool(typed)
        assert orders.throttle.bytes_s == 1_000_000


@pytest.mark.parametrize("place", PLACES)
async def test_a_converted_copy_keeps_its_rate_and_that_is_told(tmp_path: Path, place: str) -> None:
    run = a_run(tmp_path, compact=True)
    tell(run, (Step.COPY, StepStatus.RUNNING))
    async with shown(run, place) as (app, pilot, orders):
        await until(pilot, lambda: "limit" in keys(app))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("0", "enter")
        await until(pilot, lambda: "not for a converted copy" in said(app))
        assert orders.throttle.bytes_s == 1_000_000


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cancelled", [False, True])
async def test_the_guest_is_paused_for_its_merge_once_that_is_confirmed(
    tmp_path: Path, place: str, cancelled: bool
) -> None:
    run = a_run(tmp_path)
    tell(run, *((step, StepStatus.DONE) for step in (Step.COPY, Step.VERIFY)), (Step.COMMIT, StepStatus.RUNNING))
    if cancelled:
        tell_cancelling(run)
    async with shown(run, place) as (app, pilot, orders):
        await until(pilot, lambda: keys(app) == ({"settle"} if cancelled else {"cancel", "settle"}))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter")
        assert not isinstance(app.screen, ConfirmScreen)
        assert not orders.settle.is_set()
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "is paused until its disks are merged" in said(app))
        assert orders.settle.is_set()


async def test_a_process_that_does_not_listen_is_told(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    async with shown(run, "row") as (app, pilot, orders):
        await until(pilot, lambda: "limit" in keys(app))
        (run.folder / "control").unlink()
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LineScreen))
        await pilot.press("3", "enter")
        await until(pilot, lambda: "The backup's process does not listen" in said(app))
        assert orders.throttle.bytes_s == 1_000_000
