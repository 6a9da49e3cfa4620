""" "Go to" of the palette: from any screen back to the list, or to the details, and nothing that runs is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from tests.tui.test_guests_screen import is_beside, three_domains, until
from tests.tui.test_restore_from_runs import a_run
from tests.unit.test_prober import FakeHangingLine
from tui.app import QgaTui
from tui.backup.folder import result_folder
from tui.backup.journal import RunStage
from tui.backup.restore.saved import read_saved
from tui.backup.runstate import EXIT_DONE
from tui.cli.connect import hosts_for
from tui.console.many import ManyGuest, ManyRun
from tui.model.guest import Guest
from tui.screens.backup import BackupScreen
from tui.screens.calls import CallsScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.console import ConsoleScreen
from tui.screens.details import DetailsScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.doctor_rounds import RoundsScreen
from tui.screens.going import go_to_guest
from tui.screens.guests import GuestsScreen
from tui.screens.inside import InsideScreen
from tui.screens.jobs import JobsScreen
from tui.screens.many import ManyScreen
from tui.screens.palette import CommandsProvider
from tui.screens.power import PowerScreen
from tui.screens.restore import RestoreScreen
from tui.screens.restores import RestoresScreen
from tui.system.audit_log import AuditTarget


@asynccontextmanager
async def list_of_three(folder: Path) -> AsyncIterator[tuple[Pilot[None], QgaTui]]:
    """The list of a test driver's guests a, b and c, with the cursor on a."""
    app = QgaTui(hosts_for((three_domains(folder),)), backups_folder=folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == 3)
        yield pilot, app


def named(app: QgaTui, name: str) -> Guest:
    return next(guest for guest in app.fleet.guests.values() if guest.name == name)


def is_listed(app: QgaTui, name: str) -> bool:
    """Whether the list is on top, with the cursor on that guest."""
    screen = app.screen
    return isinstance(screen, GuestsScreen) and screen.under_cursor == named(app, name)


async def offered(app: QgaTui) -> list[str]:
    """The guests that the palette offers to go to from here."""
    hits = CommandsProvider(app.screen).search("go to ")
    return sorted([str(hit.text) async for hit in hits if str(hit.text).startswith("Go to ")])


@pytest.mark.parametrize(
    ("key", "opened"),
    [
        ("x", ConsoleScreen),
        ("d", DoctorScreen),
        ("V", RoundsScreen),
        ("b", BackupScreen),
        ("B", JobsScreen),
        ("R", RestoresScreen),
        ("p", PowerScreen),
        ("f12", CallsScreen),
    ],
)
async def test_every_screen_offers_every_guest_and_leads_back_to_the_list(
    tmp_path: Path, key: str, opened: type[Screen[object]]
) -> None:
    async with list_of_three(tmp_path) as (pilot, app):
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, opened) and app.screen.is_mounted)
        assert await offered(app) == ["Go to a", "Go to b", "Go to c"]
        go_to_guest(app, named(app, "c").id)
        await until(pilot, lambda: is_listed(app, "c"))
        assert len(app.screen_stack) == 1


async def test_from_details_the_palette_opens_those_of_the_guest_that_is_gone_to(tmp_path: Path) -> None:
    async with list_of_three(tmp_path) as (pilot, app):
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: not isinstance(app.screen, DetailsScreen))
        await pilot.press(*"go to c")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen) and is_beside(app, "c"))
        await pilot.press("escape")
        await until(pilot, lambda: is_listed(app, "c"))


async def test_several_screens_above_each_other_are_left_from_whatever_step_they_are_at(tmp_path: Path) -> None:
    a_run(tmp_path, 1, RunStage.DONE, EXIT_DONE)
    async with list_of_three(tmp_path) as (pilot, app):
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen) and "restore" in bound(app))
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
        app.screen.query_one(ContentSwitcher).current = "form"
        go_to_guest(app, named(app, "b").id)
        await until(pilot, lambda: is_listed(app, "b"))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        app.screen.query_one(ContentSwitcher).current = "review"
        go_to_guest(app, named(app, "c").id)
        await until(pilot, lambda: is_listed(app, "c"))


def bound(app: QgaTui) -> set[str]:
    return {active.binding.action for active in app.screen.active_bindings.values()}


async def test_a_command_in_a_console_runs_on(tmp_path: Path) -> None:
    async with list_of_three(tmp_path) as (pilot, app):
        session = app._console_flow._consoles.of(named(app, "a"), FakeHangingLine(), None)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen) and bool(app.screen.query("#prompt:focus")))
        await pilot.press(*"sleep 9", "enter")
        await until(pilot, lambda: session.is_running)
        go_to_guest(app, named(app, "b").id)
        await until(pilot, lambda: is_listed(app, "b"))
        assert session.is_running
        assert not session.is_ending


async def test_a_command_in_many_guests_is_asked_about_as_esc_does(tmp_path: Path) -> None:
    async with list_of_three(tmp_path) as (pilot, app):
        guest = named(app, "a")
        run = ManyRun(
            "sleep 9", [ManyGuest(guest.id, FakeHangingLine(), AuditTarget("test", "a", guest.id.uuid))], logs=False
        )
        many = ManyScreen(run)
        await app.push_screen(many)
        for answer in ("n", "y"):
            assert app.screen is many
            go_to_guest(app, named(app, "b").id)
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            await pilot.press(answer)
            await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
            await until(pilot, lambda: not any(each.name == "go to guest" for each in app.workers))
        await until(pilot, lambda: is_listed(app, "b"))


async def test_what_is_being_taken_out_of_a_backup_is_not_stopped(tmp_path: Path) -> None:
    saved = read_saved(result_folder(a_run(tmp_path, 1, RunStage.DONE, EXIT_DONE).plan).final)
    async with list_of_three(tmp_path) as (pilot, app):
        screen = InsideScreen(saved)
        await app.push_screen(screen)
        end = asyncio.Event()

        async def take() -> None:
            await end.wait()

        taking = screen._taking = screen.run_worker(take())
        go_to_guest(app, named(app, "c").id)
        await until(pilot, lambda: "Still taking out" in str(screen.query_one("#said").render()))
        assert taking.is_running
        assert app.screen is screen
        end.set()
        await until(pilot, lambda: not taking.is_running)
        go_to_guest(app, named(app, "c").id)
        await until(pilot, lambda: is_listed(app, "c"))
