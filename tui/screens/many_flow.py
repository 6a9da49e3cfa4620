"""From the wish to run a command in several guests to its rows: the command, asked about, and the screen of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import App

from tui.console.many import ManyGuest, ManyRun
from tui.console.running import RunningCommands
from tui.screens.many import ManyScreen
from tui.screens.many_entry import ManyEntryScreen
from tui.system.audit_log import audit_is_wanted


async def run_in_many(
    app: App[None], guests: Sequence[ManyGuest], running: RunningCommands, begun: Callable[[ManyRun], None]
) -> None:
    """Ask for the command and whether it is meant for these guests, then run it in all of them, telling `running`.

    `begun` is handed the run before its first command.
    """
    text = await app.push_screen_wait(ManyEntryScreen([guest.target.name for guest in guests]))
    if text and text.strip():
        run = ManyRun(text, guests, logs=audit_is_wanted(), running=running)
        begun(run)
        app.push_screen(ManyScreen(run))
