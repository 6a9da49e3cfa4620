"""The palette finds commands and guests."""

from __future__ import annotations

from tests.tui import sample
from tui.app import QgaTui
from tui.model.guest import AgentState
from tui.screens.guests import GuestsScreen
from tui.widgets.guest_rows import GuestRows


async def test_a_guest_is_gone_to_by_its_name_though_the_filter_hides_it() -> None:
    app = QgaTui(())
    async with app.run_test(size=(100, 30)) as pilot:
        app.fleet = sample.fleet(sample.guest("alpha", AgentState.OFF), sample.guest("omega", AgentState.RESPONDING))
        await pilot.pause()
        await pilot.press("slash", *"alpha", "enter", "ctrl+p")
        await pilot.pause()
        await pilot.press(*"omega")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert isinstance(app.screen, GuestsScreen)
        under_cursor = app.screen.query_one(GuestRows).guest_id
        assert under_cursor is not None
        assert app.fleet.guests[under_cursor].name == "omega"
