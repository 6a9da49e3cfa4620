"""Power of a real guest by keys: through its agent where it answers, by the power button where not, asked before."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from tests.live.piloted import go_to, until
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import AgentState, Guest, PowerState
from tui.screens.confirm import ConfirmScreen
from tui.screens.guests import GuestsScreen
from tui.screens.power import PowerScreen

LAMP = GuestSpec("lamp", start=False)


def guest_of(app: QgaTui, name: str) -> Guest:
    """The guest as the app has it."""
    return next(guest for guest in app.fleet.guests.values() if guest.name == name)


@pytest.mark.long
async def test_start_shut_down_and_force_off_by_keys(lab: Laboratory) -> None:
    await lab.add(LAMP)
    app = QgaTui(hosts_for((lab.uri,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, LAMP.name)

        async def choose(act: str, *keys: str) -> None:
            await pilot.press("p")
            await until(pilot, lambda: isinstance(app.screen, PowerScreen))
            options = app.screen.query_one(OptionList)
            options.highlighted = options.get_option_index(act)
            await pilot.press("enter")
            if keys:
                await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
                await pilot.press(*keys)
            await until(pilot, lambda: isinstance(app.screen, GuestsScreen))

        await choose("START")
        await until(pilot, lambda: guest_of(app, LAMP.name).agent.state is AgentState.RESPONDING)
        await choose("SHUT_DOWN", "enter")
        await pilot.pause(0.5)
        assert guest_of(app, LAMP.name).facts.power is PowerState.RUNNING, "enter takes the safe answer"
        await choose("SHUT_DOWN", "y")
        await until(pilot, lambda: guest_of(app, LAMP.name).facts.power is PowerState.OFF)
        assert guest_of(app, LAMP.name).agent.reason == "shut down"
        await choose("START")
        await until(pilot, lambda: guest_of(app, LAMP.name).facts.power is PowerState.RUNNING)
        await choose("FORCE_OFF", "y")
        await until(pilot, lambda: guest_of(app, LAMP.name).facts.power is PowerState.OFF)
        assert guest_of(app, LAMP.name).agent.reason == "forced off"
    await lab.virsh("undefine", LAMP.name)


@pytest.mark.parametrize("key", ["p", "b", "x", "v"])
async def test_read_only_mode_refuses_what_changes_a_guest(lab: Laboratory, web1: str, key: str) -> None:
    app = QgaTui(hosts_for((lab.uri,)), read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await go_to(pilot, app, web1)
        assert "read-only" in str(app.screen.query_one("#hosts").render())
        await pilot.press(key)
        await pilot.pause(0.2)
        assert isinstance(app.screen, GuestsScreen)
