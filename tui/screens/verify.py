"""Reading a backup anew, with progress, and what was found on each disk."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Static

from tui.backup.errors import explained
from tui.backup.proof import Proof, Reading
from tui.backup.proof_note import prove_and_note
from tui.backup.restore.catalogue import FoundBackup
from tui.backup.telling import reading_facts
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.text import printable
from tui.widgets.bindings import bindings
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.saved_text import proof_text, when
from tui.widgets.step_bars import bar
from tui.widgets.tones import styles_of

BAR_WIDTH = 40


class VerifyScreen(Screen[Proof | None], EndsWorkersFirst):
    """Proves a backup; dismissed with the proof, or None where it was left before its end."""

    WHERE = Where.VERIFY
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.VERIFY)
    HELP = "Every file is read and its sum compared; qemu-img looks at every image. Nothing is changed but a note."

    def __init__(self, found: FoundBackup) -> None:
        super().__init__()
        self._found = found
        self._proof: Proof | None = None

    def compose(self) -> ComposeResult:
        """Title, what is read, the bar, what was found."""
        yield Static(Text(f"Verify {printable(self._found.guest, 40)} of {when(self._found)}"), id="title")
        with VerticalScroll(id="words"):
            yield Static(id="backup")
            yield Static(id="progress")
            yield Static(id="found")
        with Horizontal(classes="buttons"):
            yield Button("Stop", id="leave", variant="primary")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin."""
        self.query_one("#backup", Static).update(Text(printable(str(self._found.folder)), "dim"))
        self.query_one("#leave").focus()
        self._prove()

    @work(exclusive=True)
    async def _prove(self) -> None:
        styles = styles_of(self.app.theme_variables)
        try:
            self._proof = await prove_and_note(self._found.folder, self._tell)
        except (ExplainedError, OSError) as error:
            words = explained(error)
            text = Text(f"✗ {printable(words.title)}\n", styles["error"])
            text.append("\n".join(printable(line) for line in (words.cause, words.next_step) if line))
        else:
            text = proof_text(self._proof, styles)
        self.query_one("#progress").display = False
        self.query_one("#found", Static).update(text)
        self.query_one("#leave", Button).label = Text("Back")

    def _tell(self, reading: Reading) -> None:
        style = styles_of(self.app.theme_variables)["primary"]
        share = reading.done / reading.total if reading.total else 0.0
        text = Text("\n").append(bar(share, BAR_WIDTH), style)
        text.append(f"\n{printable(reading_facts(reading))}")
        # A look that was left is told of once more before it ends.
        for progress in self.query("#progress").results(Static):
            progress.update(text)

    @on(Button.Pressed, "#leave")
    def action_back(self) -> None:
        """Back; a look that is under way ends."""
        self.dismiss(self._proof)
