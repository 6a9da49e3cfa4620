"""What is entered at the prompt of a guest's console: asked about, run in its turn, shown while it waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tui.agent.errors import AgentError
from tui.console.entry import entered, lines_of
from tui.console.entry_question import EntryQuestion, question_about
from tui.console.history import History
from tui.console.line_queue import EnteredLine, LineQueue
from tui.console.local_file import pieces_of
from tui.console.session import Session
from tui.model.command import Where
from tui.screens.editor import NotEditedError, edited
from tui.screens.pick import PickScreen, among
from tui.screens.scrollback import ScrollbackScreen
from tui.widgets.bindings import screen_keys
from tui.widgets.entry_text import question_text, waiting_text
from tui.widgets.prompt_input import LINES_KEY, PromptInput
from tui.widgets.tones import styles_of

TYPED, FROM_FILE, NOTHING = "what I type while it runs", "a file of this machine …", "nothing"
WAITING_KEY = "F9"
GO_ON, DROP_ALL = "go on: run them in this order", "drop all of them"


class EntryScreen(ScrollbackScreen):
    """The prompt of one session, with what it asks and what waits above it."""

    def __init__(self, name: str, session: Session, history: History | None, lines: LineQueue | None) -> None:
        super().__init__(session.scrollback, name)
        self._session = session
        self._history = history or History(None)
        self._lines = lines or LineQueue(session)
        self._input = NOTHING
        self._file: Path | None = None
        self._stop_listening: Callable[[], None] = lambda: None

    @property
    def prompt(self) -> PromptInput:
        """Where lines are typed."""
        return self.query_one(PromptInput)

    def compose_prompt(self) -> ComposeResult:
        """What waits, what is asked, the prompt."""
        yield Static(id="waiting")
        yield Static(id="question")
        with Horizontal(id="prompt-line"):
            yield Static("$", id="prompt-sign")
            keys = screen_keys(Where.CONSOLE)
            yield PromptInput(self._history, self._question, keys, lambda: not self._session.takes_input)

    def begin_entering(self) -> None:
        """Show what waits, and take keys."""
        self._stop_listening = self._lines.subscribe(self._draw_waiting)
        self.query_one("#question").display = False
        self._draw_waiting()
        self.prompt.focus()

    def on_unmount(self) -> None:
        """The lines go on without a listener."""
        self._stop_listening()

    def entered_one(self) -> None:
        """A line was entered: to be drawn."""

    def _question(self, text: str) -> EntryQuestion | None:
        if self._session.takes_input:
            return None
        return question_about(text, self._session.shell, has_input=self._input != NOTHING)

    @on(PromptInput.Entered)
    def _entered(self, event: PromptInput.Entered) -> None:
        if self._session.takes_input:
            self._session.type_in(event.text + "\n")
            return
        for line in lines_of(event.text) if event.line_by_line else (event.text,):
            if line.strip():
                self.run_line(line)

    @on(PromptInput.QuestionChanged)
    def _draw_question(self, event: PromptInput.QuestionChanged) -> None:
        shown = self.query_one("#question", Static)
        shown.display = event.question is not None
        if event.question is not None:
            shown.update(question_text(event.question, LINES_KEY.replace("ctrl+", "^"), self._styles))

    @on(PromptInput.Replaced)
    def _tell_replaced(self, event: PromptInput.Replaced) -> None:
        count = f"{event.count} character{'s' if event.count != 1 else ''}"
        self.say(f"{count} that cannot be shown were replaced by a space or \N{REPLACEMENT CHARACTER}: check the line.")

    def run_line(self, line: str, *, by_guests_shell: bool = False) -> None:
        """Run a line in the guest, behind those that were entered before, with the input that was chosen for it."""
        stdin = pieces_of(self._file) if self._input == FROM_FILE and self._file is not None else None
        shell = None if by_guests_shell else self._session.shell
        self._lines.enter(EnteredLine(line, stdin, self._input == TYPED, by_guests_shell, shell))
        if self._input == FROM_FILE:
            self._input = NOTHING
        self.view.follow()
        self.entered_one()

    def _draw_waiting(self) -> None:
        waiting = self._lines.waiting
        shown = self.query_one("#waiting", Static)
        shown.display = bool(waiting)
        if waiting:
            shown.update(waiting_text([each.text for each in waiting], self._lines.held, WAITING_KEY, self._styles))

    @property
    def _styles(self) -> Mapping[str, str]:
        return styles_of(self.app.theme_variables)

    async def action_cancel(self) -> None:
        """Copy the selection if there is one, else end the running command; without one, drop what is held or typed."""
        prompt = self.prompt
        if await self.copied(self.get_selected_text() or prompt.selected_text):
            return
        if prompt.question is not None:
            prompt.stop_asking()
        elif self._session.is_running:
            self._lines.cancel()
            self.entered_one()
        elif prompt.value or not self._lines.held:
            prompt.value = ""
        else:
            self._drop()

    def _drop(self) -> None:
        count = len(self._lines.waiting)
        self._lines.drop()
        self.say(f"Dropped {count} line{'s' if count != 1 else ''} that waited.", "information")

    def action_newline(self) -> None:
        """Go on in a new line."""
        self.prompt.type("\n")

    @on(PromptInput.EditorWanted)
    @work
    async def action_edit(self) -> None:
        """Write the command in an editor of this machine."""
        prompt = self.prompt
        try:
            prompt.fill(entered(await edited(self.app, prompt.value)))
        except NotEditedError as error:
            self.say(str(error), "error")

    @work
    async def action_waiting(self) -> None:
        """Let waiting lines go on, or remove them."""
        waiting = self._lines.waiting
        if not waiting:
            self.say("No lines wait.", "information")
            return
        named = {f"remove {number}: {each.text}": each for number, each in enumerate(waiting, 1)}
        choices = [*([GO_ON] if self._lines.held else []), *named, DROP_ALL]
        chosen = await self.app.push_screen_wait(PickScreen("Lines that wait", among(choices)))
        if chosen == GO_ON:
            self._lines.go_on()
        elif chosen == DROP_ALL:
            self._drop()
        elif chosen is not None:
            self._lines.drop(named[chosen])

    @work
    async def action_history(self) -> None:
        """Put a line typed before at the prompt."""
        prompt = self.prompt
        title = "Lines typed for this guest"
        line = await self.app.push_screen_wait(PickScreen(title, self._history.matching, typed=prompt.value))
        if line is not None:
            prompt.fill(line)

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        """Complete the path at the cursor."""
        prompt = self.prompt
        line, before = prompt.value, prompt.before_cursor
        if self._session.is_running or not before.strip():
            return
        try:
            result = await self._session.complete(before)
        except AgentError as error:
            self.say(error.one_line())
            return
        if (prompt.value, prompt.before_cursor) != (line, before):
            return
        if result.line != before:
            prompt.replace_before_cursor(result.line)
        elif result.candidates:
            names = [Path(candidate).name + "/" * candidate.endswith("/") for candidate in result.candidates]
            self.say("  ".join(names)[:400], "information")
