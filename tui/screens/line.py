"""A question that is answered with one line of text."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.model.text import Shown


class LineScreen(ModalScreen[str]):
    """Asks for a line; dismissed with it on enter, with an empty one on escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "Back")]

    def __init__(self, question: Shown, example: str = "", answer: str = "") -> None:
        """`example` only shows what may be typed; `answer` is there already, and replaced by typing."""
        super().__init__()
        self._question = question
        self._example = example
        self._answer = answer

    def compose(self) -> ComposeResult:
        """Question and line."""
        with Vertical(id="dialog"):
            yield Static(Text(self._question, "bold"))
            yield Input(self._answer, placeholder=self._example)
            yield Static(Text("enter goes on, esc leaves", "dim"))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_give_up(self) -> None:
        """No line."""
        self.dismiss("")
