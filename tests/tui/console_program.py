"""A program on a real terminal that opens a serial console at `s` and counts on beside it, in a file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import Label

from tests.tui.sample import guest
from tui.cli.hang_up import end_with_terminal
from tui.model.guest import AgentState
from tui.screens.serial import open_serial

TURNS_DRAWN = 200
"""More than a terminal's queue takes while nobody empties it."""


class Counting(App[None]):
    """Draws a number that goes up, and writes `TURNS_DRAWN` of them down while the console is open."""

    def compose(self) -> ComposeResult:
        """The number."""
        yield Label("ready 0")

    async def on_key(self) -> None:
        """Open the console."""
        self.run_worker(self._use_console())

    async def _use_console(self) -> None:
        counting = asyncio.create_task(self._count())
        await open_serial(self, "test:///default", guest("web1", AgentState.RESPONDING))
        await counting
        self.query_one(Label).update("console left")

    async def _count(self) -> None:
        for number in range(TURNS_DRAWN):
            self.query_one(Label).update(f"ready {number}")
            await asyncio.sleep(0.005)
        Path(sys.argv[1]).write_text("counted", "utf-8")


if __name__ == "__main__":
    end_with_terminal(lambda: None)
    Counting().run()
