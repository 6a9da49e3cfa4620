"""The prompt for one command in several guests: what is run, and in which, is said before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.console.entry_question import EntryQuestion, question_about
from tui.console.history import History
from tui.model.text import printable
from tui.widgets.entry_text import question_text
from tui.widgets.held_keys import hold_keys
from tui.widgets.prompt_input import LINES_KEY, PromptInput
from tui.widgets.tones import styles_of


class ManyEntryScreen(ModalScreen[str]):
    """Dismissed with the command, a line or a script, once its question was answered; with an empty one on escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "Back", show=False)]

    def __init__(self, guests: Sequence[str]) -> None:
        super().__init__()
        self._guests = guests
        self._count = f"{len(guests)} guest{'s' if len(guests) != 1 else ''}"

    def compose(self) -> ComposeResult:
        """What for, the prompt, the guests, the question."""
        keys = {"escape": "give_up", "ctrl+c": "clear"}
        with Vertical(id="dialog"):
            yield Static(Text(f"A command for {self._count}, run by each guest's own shell:", "bold"))
            yield PromptInput(History(None), self._question, keys)
            yield Static(id="question")
            with VerticalScroll(id="names", can_focus=False):
                yield Static(Text(printable(", ".join(self._guests), 20_000), "dim"))

    def on_mount(self) -> None:
        """Take keys."""
        self._draw(None)
        self.query_one(PromptInput).focus()

    def _question(self, text: str) -> EntryQuestion | None:
        return question_about(text, None, where=f"in {self._count}")

    @on(PromptInput.QuestionChanged)
    def _question_changed(self, event: PromptInput.QuestionChanged) -> None:
        self._draw(event.question)

    def _draw(self, question: EntryQuestion | None) -> None:
        text = Text("enter goes on and asks, ^j is a new line, esc leaves", "dim")
        if question is not None:
            text = question_text(question, LINES_KEY.replace("ctrl+", "^"), styles_of(self.app.theme_variables))
        self.query_one("#question", Static).update(text)

    @on(PromptInput.Entered)
    def _entered(self, event: PromptInput.Entered) -> None:
        if event.text.strip():
            hold_keys(self)
        self.dismiss(event.text)

    def action_clear(self) -> None:
        """Leave the question, or empty the prompt."""
        prompt = self.query_one(PromptInput)
        if prompt.question is not None:
            prompt.stop_asking()
        else:
            prompt.value = ""

    def action_give_up(self) -> None:
        """Leave the question, or the prompt."""
        prompt = self.query_one(PromptInput)
        if prompt.question is not None:
            prompt.stop_asking()
        else:
            self.dismiss("")
