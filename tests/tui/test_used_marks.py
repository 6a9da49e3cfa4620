"""Marks go with the command that they were set for, and stay where the user turned back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.tui.test_guests_screen import text_of, three_domains, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.model.guest import PowerState
from tui.screens.backup import BackupScreen
from tui.screens.backup_queue import BackupQueueScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.guests import GuestsScreen
from tui.screens.jobs import JobsScreen
from tui.screens.power import PowerScreen

TAKEN = "2 marks were used and are taken away."


@asynccontextmanager
async def list_of_three(folder: Path, *keys: str) -> AsyncIterator[tuple[Pilot[None], QgaTui]]:
    """The list of a test driver's three guests, after keys were pressed in it."""
    app = QgaTui(hosts_for((three_domains(folder),)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == 3)
        await pilot.press(*keys)
        yield pilot, app


def marked(app: QgaTui) -> int:
    screen = app.screen_stack[0]
    assert isinstance(screen, GuestsScreen)
    return len(screen.view.marked)


def notices(app: QgaTui) -> list[str]:
    return [notice.message for notice in app._notifications]


async def choose(pilot: Pilot[None], app: QgaTui, act: str) -> None:
    await pilot.press("p")
    await until(pilot, lambda: isinstance(app.screen, PowerScreen))
    options = app.screen.query_one(OptionList)
    options.highlighted = options.get_option_index(act)
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, PowerScreen))


async def test_a_power_act_that_was_confirmed_takes_the_marks_away_and_says_so(tmp_path: Path) -> None:
    async with list_of_three(tmp_path, "space", "space") as (pilot, app):
        await choose(pilot, app, "SUSPEND")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: len(notices(app)) == 3)
        assert notices(app) == [TAKEN, "a was suspended.", "b was suspended."]
        assert marked(app) == 0
        await until(
            pilot,
            lambda: (
                sorted(each.facts.power for each in app.fleet.guests.values())
                == [PowerState.PAUSED, PowerState.PAUSED, PowerState.RUNNING]
            ),
        )
        assert "marked" not in text_of(app, "#hosts")


async def test_a_power_act_that_needs_no_question_takes_them_away_too(tmp_path: Path) -> None:
    async with list_of_three(tmp_path) as (pilot, app):
        await choose(pilot, app, "SUSPEND")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: notices(app) == ["a was suspended."])
        await pilot.press("space", "space")
        await choose(pilot, app, "RESUME")
        await until(pilot, lambda: notices(app)[1:] == [TAKEN, "a was resumed."])
        assert marked(app) == 0


async def test_marks_stay_where_the_user_turns_back(tmp_path: Path) -> None:
    async with list_of_three(tmp_path, "space", "space") as (pilot, app):
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PowerScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await choose(pilot, app, "SHUT_DOWN")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BackupQueueScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        assert marked(app) == 2
        assert notices(app) == []


@pytest.mark.parametrize(("marks", "said"), [(2, TAKEN), (1, "The mark was used and is taken away.")])
async def test_backups_that_were_begun_take_the_marks_away_and_say_so(tmp_path: Path, marks: int, said: str) -> None:
    async with list_of_three(tmp_path, *["space"] * marks) as (pilot, app):
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BackupQueueScreen | BackupScreen))
        assert isinstance(app.screen, BackupQueueScreen | BackupScreen)
        await until(pilot, lambda: bool(app.screen.query("#folder:focus")))
        app.screen.dismiss(True)
        await until(pilot, lambda: notices(app) == [said])
        assert marked(app) == 0
        await until(pilot, lambda: isinstance(app.screen, JobsScreen if marks > 1 else GuestsScreen))


async def test_a_command_on_the_guest_under_the_cursor_alone_leaves_marks_of_others(tmp_path: Path) -> None:
    async with list_of_three(tmp_path, "space") as (pilot, app):
        flow, guests = app._backup_flow, tuple(app.fleet.guests.values())
        other = next(guest for guest in guests if guest.name == "c")
        flow.open_backups((other,))
        await until(pilot, lambda: isinstance(app.screen, BackupScreen))
        assert isinstance(app.screen, BackupScreen)
        await until(pilot, lambda: bool(app.screen.query("#folder:focus")))
        app.screen.dismiss(True)
        await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
        await pilot.pause()
        assert marked(app) == 1
        assert notices(app) == []
