"""From the wish to run a command in several guests to its rows: the line, a question that names them, the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App

from tui.console.many import ManyGuest, ManyRun
from tui.console.running import RunningCommands
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.line import LineScreen
from tui.screens.many import ManyScreen
from tui.system.audit_log import audit_is_wanted


async def run_in_many(
    app: App[None], guests: Sequence[ManyGuest], running: RunningCommands, begun: Callable[[ManyRun], None]
) -> None:
    """Ask for the line and whether it is meant for these guests, then run it in all of them, telling `running`.

    `begun` is handed the run before its first command.
    """
    count = f"{len(guests)} guest{'s' if len(guests) != 1 else ''}"
    line = await app.push_screen_wait(LineScreen(printable(f"A command for {count}, run by each guest's own shell:")))
    if not line or not line.strip():
        return
    names = ", ".join(guest.target.name for guest in guests)
    confirm = ConfirmScreen(
        printable(f"Run  {line}  in {count}?"), printable(names), yes=printable("Run"), no=printable("Leave it")
    )
    if await app.push_screen_wait(confirm):
        run = ManyRun(line, guests, logs=audit_is_wanted(), running=running)
        begun(run)
        app.push_screen(ManyScreen(run))
