"""What can be done to the power of guests: the menu, and the question before it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.tui.sample import guest
from tests.tui.test_guests_screen import until
from tests.tui.test_used_marks import choose, list_of_three, marked, notices
from tui.app import QgaTui
from tui.fleet.power import PowerAct
from tui.model.guest import AgentState, Guest, PowerState
from tui.screens.confirm import ConfirmScreen
from tui.screens.guests import GuestsScreen
from tui.screens.line import LineScreen
from tui.screens.power import PowerScreen, consequence
from tui.screens.power_flow import change_power

ASKED = {PowerAct.SHUT_DOWN: "power off", PowerAct.REBOOT: "boot anew"}


def both_ways(count: int, name: str = "guest") -> tuple[Guest, ...]:
    """As many guests with an agent that answers as without."""
    states = (AgentState.RESPONDING, AgentState.UNRESPONSIVE)
    return tuple(guest(f"{name}{number}", states[number % 2]) for number in range(2 * count))


@asynccontextmanager
async def asked(act: PowerAct, guests: tuple[Guest, ...]) -> AsyncIterator[tuple[Pilot[None], QgaTui]]:
    """The smallest terminal while it asks about the act."""
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        app.run_worker(change_power(app, MappingProxyType({}), guests, act))
        await until(pilot, lambda: not isinstance(app.screen, GuestsScreen) and bool(app.screen.query(Static)))
        await pilot.pause()
        yield pilot, app


def texts(app: QgaTui) -> list[str]:
    return [str(each.render()) for each in app.screen.query(Static)]


async def test_the_menu_names_every_marked_guest() -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)):
        await app.push_screen(PowerScreen(tuple(guest(name, AgentState.RESPONDING) for name in ("db1", "web1"))))
        assert texts(app)[0] == "Power of 2 marked guests: db1, web1"


@pytest.mark.parametrize("act", list(ASKED))
async def test_before_several_guests_are_asked_to_end_the_way_of_each_is_named(act: PowerAct) -> None:
    async with asked(act, both_ways(2)) as (_pilot, app):
        asks, says = texts(app)[:2]
        assert asks == f"{act.capitalize()} 4 guests?"
        assert says.startswith(f"The guest is asked to end its programs and {ASKED[act]}. By the ")
        assert says.endswith("By the agent: guest0, guest2 · by the ACPI power button: guest1, guest3.")


def test_a_way_that_none_of_the_guests_goes_is_not_named() -> None:
    answering = tuple(guest(name, AgentState.RESPONDING) for name in ("a", "b"))
    assert consequence(PowerAct.REBOOT, answering).endswith("boot anew. By the agent: a, b.")


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (PowerAct.SHUT_DOWN, "n" * 10_000),
        (PowerAct.REBOOT, "名" * 100),
        (PowerAct.SHUT_DOWN, "[b]\x1b]0;x\x07\u202e"),
        (PowerAct.SUSPEND, "n" * 10_000),
    ],
)
async def test_any_number_of_any_names_leaves_the_answers_on_the_smallest_screen(act: PowerAct, name: str) -> None:
    async with asked(act, both_ways(500, name)) as (_pilot, app):
        said = texts(app)[1]
        assert said.isprintable()
        assert "more" in said
        dialog = app.screen.query_one("#dialog")
        assert dialog.max_scroll_y == 0
        assert app.screen.query_one("#no").has_focus
        assert all(dialog.region.contains_region(app.screen.query_one(answer).region) for answer in ("#no", "#yes"))


@pytest.mark.parametrize("act", [PowerAct.SHUT_DOWN, PowerAct.REBOOT, PowerAct.SUSPEND, PowerAct.FORCE_OFF])
async def test_the_answer_that_does_nothing_has_the_focus(act: PowerAct) -> None:
    async with asked(act, both_ways(1)[:1]) as (_pilot, app):
        assert isinstance(app.screen, ConfirmScreen)
        assert app.screen.query_one("#no").has_focus


async def test_forcing_several_off_takes_the_typed_words_and_nothing_else(tmp_path: Path) -> None:
    async with list_of_three(tmp_path, "space", "space") as (pilot, app):
        for typed in ("y", "force off 3"):
            await answer(pilot, app, typed)
            assert (notices(app), marked(app)) == ([], 2)
        await answer(pilot, app, "force off 2")
        await until(pilot, lambda: len(notices(app)) == 3)
        assert notices(app)[1:] == ["a was forced off.", "b was forced off."]
        expected = [PowerState.OFF, PowerState.OFF, PowerState.RUNNING]
        await until(pilot, lambda: sorted(each.facts.power for each in app.fleet.guests.values()) == expected)


async def answer(pilot: Pilot[None], app: QgaTui, typed: str) -> None:
    """Ask for the two marked guests to be forced off, and answer the question."""
    await choose(pilot, app, "FORCE_OFF")
    await until(pilot, lambda: isinstance(app.screen, LineScreen) and app.screen.query_one(Input).has_focus)
    assert "a, b. Type  force off 2  to do it." in texts(app)[0]
    await pilot.press(*typed, "enter")
    await until(pilot, lambda: isinstance(app.screen, GuestsScreen))
