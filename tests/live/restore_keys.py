"""The way through the restore's screens by keys, for the tests and the pictures."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Button, ContentSwitcher, DataTable, Static

from tests.live.piloted import go_to, until
from tui.app import QgaTui
from tui.backup.inside.debugfs import Entry
from tui.screens.inside import InsideScreen
from tui.screens.restore import RestoreScreen
from tui.screens.restore_run import RestoreRunScreen
from tui.screens.restores import RestoresScreen

WAYS = ("clone", "in-place", "disk", "attach", "boot-test", "inside", "verify")


def shown(app: QgaTui, selector: str) -> str:
    """The text of a part of the screen, as if no line were broken."""
    return str(app.screen.query_one(selector, Static).render())


async def open_list(pilot: Pilot[None], app: QgaTui, name: str) -> None:
    """The list of backups, that guest's first."""
    await go_to(pilot, app, name)
    await pilot.press("R")
    await until(pilot, lambda: isinstance(app.screen, RestoresScreen))
    await until(pilot, lambda: app.screen.query_one(DataTable).row_count > 0)


async def choose(pilot: Pilot[None], app: QgaTui, way: str) -> None:
    """Open the backup under the cursor and take one of the ways."""
    if not isinstance(app.screen, RestoreScreen):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RestoreScreen))
    await until(pilot, lambda: app.screen.query_one("#ways").has_focus)
    await pilot.press("home", *["down"] * WAYS.index(way), "enter")


async def review(pilot: Pilot[None], app: QgaTui) -> None:
    """From the form to a plan that may begin."""
    await until(pilot, lambda: app.screen.query_one(ContentSwitcher).current == "form")
    app.screen.query_one("#check").focus()
    await pilot.press("enter")
    await until(pilot, lambda: app.screen.query_one("#start", Button).has_focus)


async def review_what_is_marked(pilot: Pilot[None], app: QgaTui) -> None:
    """From a form in which nothing has to be filled in to its plan, by the one key that is needed."""
    await until(pilot, lambda: app.screen.query_one("#check").has_focus)
    await pilot.press("enter")


async def to_the_end(pilot: Pilot[None], app: QgaTui) -> str:
    """Wait for the end of the restore that is shown; what it says."""
    await until(pilot, lambda: isinstance(app.screen, RestoreRunScreen))
    await until(pilot, lambda: app.screen.query_one("#done").has_focus)
    return f"{shown(app, '#headline')}\n{shown(app, '#outcome')}"


async def enter(pilot: Pilot[None], app: QgaTui, name: str) -> None:
    """Open the entry of that name in the folder that is shown."""
    screen = app.screen
    assert isinstance(screen, InsideScreen)
    await until(pilot, lambda: any(isinstance(row, Entry) and row.name == name for row in screen.rows))
    names = [row.name if isinstance(row, Entry) else "" for row in screen.rows]
    table = screen.query_one(DataTable)
    table.move_cursor(row=names.index(name))
    await pilot.press("enter")
    await pilot.pause(0.1)
