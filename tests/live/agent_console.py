"""A program on a real terminal: the console of an agent behind a unix socket, opened at `x` as from the list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tests.live.raw_socket import RawSocket
from tests.tui.sample import guest
from tui.cli.log import start_log
from tui.console.consoles import Consoles
from tui.console.history import History
from tui.console.running import RunningCommands
from tui.model.guest import AgentState
from tui.screens.console import ConsoleScreen
from tui.widgets.crash import TellingApp
from tui.widgets.held_keys import HoldsKeys
from tui.widgets.stylesheets import style_paths
from tui.widgets.terminal_bytes import take_any_bytes
from tui.widgets.tones import dress


class AgentConsole(HoldsKeys, TellingApp):
    """Opens the console at `x` and leaves at ^q."""

    CSS_PATH = style_paths()
    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "open", priority=True)]

    def __init__(self, socket: Path) -> None:
        super().__init__()
        self._consoles = Consoles(RunningCommands(lambda commands: None))
        self._line = RawSocket(socket)
        self._guest = guest("web1", AgentState.RESPONDING)
        dress(self)

    def compose(self) -> ComposeResult:
        """Something to wait for."""
        yield Static("x opens")

    def action_open(self) -> None:
        """Open it, not at once."""
        self.hold_keys()
        self._open()

    @work
    async def _open(self) -> None:
        session = self._consoles.of(self._guest, self._line, None)
        self.push_screen(ConsoleScreen(self._guest, session, History(None), self._consoles.lines_of(self._guest.id)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`x` is a character in the console."""
        return action != "open" or not isinstance(self.screen, ConsoleScreen)

    async def on_unmount(self) -> None:
        """Leave nothing in the guest."""
        await self._consoles.leave()


if __name__ == "__main__":
    start_log("main")
    take_any_bytes()
    app = AgentConsole(Path(sys.argv[1]))
    app.run()
    sys.exit(app.crash is not None)
