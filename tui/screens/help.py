"""What the keys do on the screen below, from the table of commands."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.commands import commands_on
from tui.model.command import Where
from tui.widgets.bindings import key_word

KEY_WIDTH = 10


class HelpScreen(ModalScreen[None]):
    """Leaves by any of the keys that one would try."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,f1,question_mark,enter", "dismiss", "Back")]

    def __init__(self, where: Where | None, about: str) -> None:
        super().__init__()
        self._where = where
        self._about = about

    def compose(self) -> ComposeResult:
        """One scrolling text."""
        with VerticalScroll(id="dialog"):
            yield Static(self._text())

    def _text(self) -> Text:
        text = Text()
        if self._about:
            text.append(f"{self._about}\n\n")
        for where in (self._where, Where.ANYWHERE):
            if where is None:
                continue
            text.append(f"{where.capitalize()}\n", "bold")
            for command in commands_on(where):
                keys = " ".join(key_word(key) for key in command.keys)
                text.append(f"  {keys:<{KEY_WIDTH}}", "bold")
                text.append(f"{command.help}\n")
            text.append("\n")
        text.append("pgup and pgdn scroll, esc leaves.", "dim")
        return text
