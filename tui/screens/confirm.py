"""A question with a safe answer in focus."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.model.text import Shown


class ConfirmScreen(ModalScreen[bool]):
    """Asks before something that is not easily undone; True where the user wants it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
        Binding("left,right,tab", "app.focus_next", show=False),
    ]

    def __init__(self, question: Shown, consequence: Shown, yes: Shown, no: Shown) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """Question, consequence, and the two answers, the safe one first."""
        with Vertical(id="dialog"):
            yield Static(Text(self._question, "bold"))
            yield Static(Text(self._consequence))
            with Horizontal(id="answers"):
                yield Button(Text(f"{self._no} (n)"), id="no", variant="primary")
                yield Button(Text(f"{self._yes} (y)"), id="yes")

    def on_mount(self) -> None:
        """The safe answer is the one that enter gives."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The answer by button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """The answer by key."""
        self.dismiss(answer)
