"""The menu of what can be done to the power of guests."""

from textual.app import App
from textual.widgets import Static

from tests.tui.sample import guest
from tui.model.guest import AgentState
from tui.screens.power import PowerScreen


async def test_the_menu_names_every_marked_guest() -> None:
    app = App[None]()
    async with app.run_test(size=(80, 24)):
        await app.push_screen(PowerScreen(tuple(guest(name, AgentState.RESPONDING) for name in ("db1", "web1"))))
        assert str(app.screen.query(Static).first().render()) == "Power of 2 marked guests: db1, web1"
