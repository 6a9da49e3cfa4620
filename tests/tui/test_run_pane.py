"""A run that is shown before its place on the screen is complete."""

from textual.app import App, ComposeResult
from textual.widgets import Static

from tests.unit.backup_values import a_plan
from tui.backup.runstate import first_state
from tui.backup.telling import headline
from tui.widgets.run_pane import RunPane


class PaneApp(App[None]):
    def compose(self) -> ComposeResult:
        pane = RunPane()
        pane.show(first_state(a_plan()))
        yield pane


async def test_what_comes_before_the_parts_are_there_is_drawn_with_them() -> None:
    app = PaneApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert headline(first_state(a_plan())) in str(app.query_one("#headline", Static).render())
