"""The console of one guest: a prompt, and what its commands write while they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from tui.agent.exec_model import Stream
from tui.commands import Where
from tui.console.session import CommandEnded, CommandStarted, Session, SessionFact
from tui.console.transcript import EndLine, Entry, NoticeLine, OutputLine, PromptLine
from tui.model.guest import AgentState, Guest
from tui.model.quantities import duration
from tui.model.text import printable
from tui.widgets.bindings import bindings
from tui.widgets.output_view import LineKind, OutputView, ViewLine

REPAINT_S = 0.03
"""Seconds for which arriving output is gathered before it is drawn."""


class PromptInput(Input):
    """A line to type, with the lines typed before on up and down."""

    def __init__(self) -> None:
        super().__init__(placeholder="a command for the guest's shell", id="prompt")
        self._typed: list[str] = []
        self._place = 0

    def remember(self, line: str) -> None:
        """Keep a line; the same one twice in a row is kept once."""
        if line and self._typed[-1:] != [line]:
            self._typed.append(line)
        self._place = len(self._typed)

    def on_key(self, event: events.Key) -> None:
        """Walk through the lines typed before."""
        if event.key not in ("up", "down"):
            return
        event.prevent_default()
        self._place = min(max(self._place + (-1 if event.key == "up" else 1), 0), len(self._typed))
        self.value = self._typed[self._place] if self._place < len(self._typed) else ""
        self.cursor_position = len(self.value)


class ConsoleScreen(Screen[None]):
    """Shows a session, which the app owns: leaving the screen ends nothing."""

    WHERE = Where.CONSOLE
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CONSOLE, priority=True),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
    ]
    HELP = "Each line is run by the guest's shell. Lines marked ! are standard error, = tells how a command ended."

    def __init__(self, guest: Guest, session: Session) -> None:
        super().__init__()
        self._guest = guest
        self._session = session
        self._drawn = 0
        self._began: float | None = None
        self._pid: int | None = None
        self._repaint_due = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def compose(self) -> ComposeResult:
        """Title, output, prompt."""
        yield Static(id="title")
        yield OutputView()
        with Horizontal(id="prompt-line"):
            yield Static("$", id="prompt-sign")
            yield PromptInput()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Draw what the session has, and follow it."""
        self._unsubscribe = self._session.subscribe(self._happened)
        if self._session.is_running:
            self._began = time.monotonic()
        self.query_one(PromptInput).focus()
        self.set_interval(1.0, self._draw_title)
        self.call_after_refresh(self._draw)

    def on_unmount(self) -> None:
        """The session goes on without a listener."""
        self._unsubscribe()

    @on(Input.Submitted, "#prompt")
    def _run_line(self, event: Input.Submitted) -> None:
        line = event.value.strip()
        if not line:
            return
        if self._session.is_running:
            self.notify("A command is still running; ctrl+c cancels it.", severity="warning", markup=False)
            return
        prompt = self.query_one(PromptInput)
        prompt.remember(line)
        prompt.value = ""
        self._began, self._pid = time.monotonic(), None
        self._session.run(line)
        self.query_one(OutputView).follow()
        self._draw()

    def _happened(self, fact: SessionFact) -> None:
        match fact:
            case CommandStarted(pid=pid):
                self._pid = pid
            case CommandEnded():
                self._began = self._pid = None
        if not self._repaint_due:
            self._repaint_due = True
            self.set_timer(REPAINT_S, self._draw)

    def _draw(self) -> None:
        self._repaint_due = False
        view = self.query_one(OutputView)
        transcript = self._session.transcript
        entries = transcript.since(self._drawn)
        self._drawn = transcript.total
        if entries:
            view.extend(_line(entry) for entry in entries)
        view.show_open(_line(entry) for entry in self._session.open_lines)
        self._draw_title()

    def _draw_title(self) -> None:
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(printable(self._guest.name, 40), "bold")
        if self._began is None and self._guest.agent.state is not AgentState.RESPONDING:
            title.append(f"  agent {self._guest.agent.state}: {printable(self._guest.agent.reason)}")
        elif self._began is None:
            title.append("  ready", "dim")
        else:
            pid = "" if self._pid is None else f", pid {self._pid} in the guest"
            title.append(f"  ▸ running for {duration(int(time.monotonic() - self._began))}{pid}")
        self.query_one("#title", Static).update(title)

    def action_cancel(self) -> None:
        """Copy the selection if there is one, else end the running command."""
        selected = self.get_selected_text() or self.query_one(PromptInput).selected_text
        if selected:
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
            self.notify(f"Copied {len(selected)} characters with the terminal's clipboard.", markup=False)
        elif self._session.is_running:
            self._session.cancel()
            self.notify("Ending the command in the guest …", markup=False)
        else:
            self.query_one(PromptInput).value = ""

    def action_scroll(self, pages: int) -> None:
        """Scroll the output while the prompt has the focus."""
        view = self.query_one(OutputView)
        view.scroll_relative(y=pages * (view.size.height - 1), animate=False, immediate=True)

    def action_back(self) -> None:
        """To the list; a running command runs on."""
        self.dismiss()


def _line(entry: Entry) -> ViewLine:
    match entry:
        case PromptLine(text=text):
            return ViewLine(LineKind.PROMPT, text)
        case OutputLine(text=text, stream=stream):
            return ViewLine(LineKind.STDERR if stream is Stream.STDERR else LineKind.STDOUT, text)
        case NoticeLine(text=text):
            return ViewLine(LineKind.NOTICE, text)
        case EndLine(text=text, is_good=is_good):
            return ViewLine(LineKind.ENDED_WELL if is_good else LineKind.ENDED_BADLY, text)
