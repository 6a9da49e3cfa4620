"""The line at which a console's commands are typed."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from tui.console.history import History


class PromptInput(Input):
    """A line to type, with the lines typed before on up and down."""

    def __init__(self, history: History) -> None:
        super().__init__(id="prompt")
        self._history = history
        self._place = len(history.lines)

    def remember(self, line: str) -> None:
        """Keep a line."""
        self._history.add(line)
        self._place = len(self._history.lines)

    def on_key(self, event: events.Key) -> None:
        """Walk through the lines typed before."""
        if event.key not in ("up", "down"):
            return
        event.prevent_default()
        lines = self._history.lines
        self._place = min(max(self._place + (-1 if event.key == "up" else 1), 0), len(lines))
        self.fill(lines[self._place] if self._place < len(lines) else "")

    def fill(self, line: str) -> None:
        """Replace what is typed."""
        self.value = line
        self.cursor_position = len(line)
