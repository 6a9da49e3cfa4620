"""The console of one guest: a prompt, and what its commands write while they run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import Static

from tui import settings
from tui.console.charset import CHOICES
from tui.console.diagnostics import Diagnostic, diagnostics
from tui.console.history import History
from tui.console.line_queue import LineQueue
from tui.console.local_file import file_at, files_beginning
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, ReadAnew, SessionFact
from tui.console.shells import Shell
from tui.fleet.fleet import Fleet
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.screens.console_entry import FROM_FILE, NOTHING, TYPED, EntryScreen
from tui.screens.pick import PickScreen, among
from tui.widgets.bindings import bindings
from tui.widgets.console_text import status_line
from tui.widgets.key_line import KeyLine
from tui.widgets.output_view import OutputView

REPAINT_S = 0.03
"""Seconds for which arriving output is gathered before it is drawn."""


class ConsoleScreen(EntryScreen):
    """Shows a session, which the app owns: leaving the screen ends nothing."""

    WHERE = Where.CONSOLE
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.CONSOLE),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
        Binding("ctrl+home", "to_begin", show=False, priority=True),
        Binding("ctrl+end", "to_end", show=False, priority=True),
    ]
    HELP = (
        "Each line is run by the guest's shell, as root. Lines entered while one runs wait for their turns. "
        "Several lines stay one entry: enter asks how they are meant. "
        "Lines marked ! are standard error, = tells how a command ended. "
        "Page up and page down scroll the output; ctrl+home and ctrl+end go to its begin and its end."
    )

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)

    def __init__(
        self, guest: Guest, session: Session, history: History | None = None, lines: LineQueue | None = None
    ) -> None:
        super().__init__(guest.name, session, history, lines)
        self._guest = guest
        self._began: float | None = None
        self._repaint_due = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def compose(self) -> ComposeResult:
        """Title, output, prompt."""
        yield Static(id="title")
        yield OutputView()
        yield from self.compose_prompt()
        yield KeyLine()

    def on_mount(self) -> None:
        """Draw what the session has, and follow it."""
        self._unsubscribe = self._session.subscribe(self._happened)
        self._session.prepare()
        if self._session.is_running:
            self._began = time.monotonic()
        self.begin_entering()
        self.set_interval(1.0, self._draw_status)
        self.view.show(self.scrollback.transcript)
        self.call_after_refresh(self._draw)

    def on_unmount(self) -> None:
        """The session goes on without a listener."""
        self._unsubscribe()

    def watch_fleet(self, fleet: Fleet) -> None:
        """Follow the guest."""
        guest = fleet.guests.get(self._guest.id, self._guest)
        if guest is not self._guest:
            self._guest = guest
            if self.is_mounted:
                self._draw_status()

    def entered_one(self) -> None:
        """Show that it begins, or is being ended."""
        self._draw()

    def _happened(self, fact: SessionFact) -> None:
        match fact:
            case CommandEnded():
                self._began = None
            case ReadAnew():
                self.view.show(self.scrollback.transcript)
        if not self._repaint_due:
            self._repaint_due = True
            self.set_timer(REPAINT_S, self._draw)

    def _draw(self) -> None:
        self._repaint_due = False
        self.view.grown(self.scrollback.open_lines)
        self._draw_status()

    def _draw_status(self) -> None:
        session = self._session
        if session.is_running and self._began is None:
            self._began = time.monotonic()
        seconds = int(time.monotonic() - self._began) if session.is_running and self._began is not None else None
        status = status_line(self._guest, session, seconds, self._styles)
        self.query_one("#title", Static).update(status)
        sign = "<" if session.takes_input else "$"
        self.query_one("#prompt-sign", Static).update(sign)
        prompt = self.prompt
        reads = {TYPED: "a command that reads what you type", FROM_FILE: "a command that reads the file"}
        waiting = "input for the running command; ctrl+d ends it"
        free = (
            "the next command: it waits for this one; ^c ends this one"
            if session.is_running
            else "a command for the guest"
        )
        chosen = reads.get(self._input, free)
        prompt.placeholder = waiting if session.takes_input else chosen

    def action_scroll(self, pages: int) -> None:
        """Scroll the output while the prompt has the focus."""
        view = self.view
        view.scroll_relative(y=pages * (view.size.height - 1), animate=False, immediate=True)

    def action_to_begin(self) -> None:
        """Show the begin of the output that is kept."""
        self.view.scroll_home(animate=False, immediate=True)

    def action_to_end(self) -> None:
        """Show the end of the output, and what comes."""
        self.view.follow()

    def action_back(self) -> None:
        """Leave the question, or go to the list; what runs, and what waits for it, goes on."""
        prompt = self.prompt
        if prompt.question is not None:
            prompt.stop_asking()
        else:
            self.dismiss()

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The ready-made questions for this guest."""
        try:
            return diagnostics(windows=self._session.is_windows)
        except settings.ConfigError as error:
            self.say(str(error), "error")
            return ()

    @work
    async def action_diagnose(self) -> None:
        """Run a ready-made question."""
        offered = {f"{each.title}: {each.line}": each.line for each in self.diagnostics()}
        chosen = await self.app.push_screen_wait(PickScreen("Ready-made questions", among(list(offered))))
        if chosen is not None:
            self._history.add(offered[chosen])
            self.run_line(offered[chosen], by_guests_shell=True)

    @work
    async def action_shell(self) -> None:
        """Choose who reads the lines."""
        chosen = await self.app.push_screen_wait(
            PickScreen("Who reads the lines", among([str(each) for each in Shell]))
        )
        if chosen is not None:
            self._session.use_shell(Shell(chosen))

    @work
    async def action_encoding(self) -> None:
        """Read the output in another encoding."""
        chosen = await self.app.push_screen_wait(PickScreen("How the output is read", among(CHOICES), free=True))
        if chosen is None:
            return
        try:
            await self.scrollback.use_charset(chosen)
        except LookupError:
            self.say(f"There is no encoding {chosen}.", "error")

    @work
    async def action_input(self) -> None:
        """Choose what the next command reads."""
        choices = among([NOTHING, TYPED, FROM_FILE])
        chosen = await self.app.push_screen_wait(PickScreen("What the next command reads", choices))
        if chosen == FROM_FILE:
            picker = PickScreen("A file of this machine", files_beginning, free=True, blocks=True)
            typed = await self.app.push_screen_wait(picker)
            if typed is None:
                return
            try:
                self._file = await asyncio.to_thread(file_at, typed)
            except ExplainedError as error:
                self.say(error.one_line(), "error")
                return
        self._input = chosen or self._input
        self._draw_status()

    def action_end_input(self) -> None:
        """End what the running command reads."""
        self._session.type_in(None)

    async def action_look_again(self) -> None:
        """See what is left of the last command."""
        await self._session.look_again()
