"""The lines that were entered for one guest's console: one runs, the others wait for their turns in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tui.agent.exec_model import End, Finished
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, SessionFact
from tui.console.shells import Shell


@dataclass(frozen=True, slots=True)
class EnteredLine:
    """A line, or a script of several, with what was chosen for it when it was entered; see `Session.run`.

    `shell` is None for the one that the console has when it runs.
    """

    text: str
    stdin: AsyncIterator[bytes] | None = None
    takes_input: bool = False
    by_guests_shell: bool = False
    shell: Shell | None = None


class LineQueue:
    """Runs every line once, in the order of entering. All methods belong to the event loop's thread.

    After a command that was cancelled, could not be run or whose end was not seen, the lines behind it are `held` until
    the user says what becomes of them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: list[EnteredLine] = []
        self._held = ""
        self._was_cancelled = False
        self._listeners: list[Callable[[], None]] = []
        session.subscribe(self._happened)

    @property
    def waiting(self) -> tuple[EnteredLine, ...]:
        """The lines that have not begun."""
        return tuple(self._waiting)

    @property
    def held(self) -> str:
        """What happened to the command before them, for which they wait for a word of the user; empty without one."""
        return self._held if self._waiting else ""

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every change of what waits; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def enter(self, line: EnteredLine) -> None:
        """Run it, behind everything that was entered before."""
        self._waiting.append(line)
        self._go()

    def cancel(self) -> None:
        """End the running command; the lines behind it are held then, those entered from now on alone are not."""
        if self._session.is_running:
            self._was_cancelled = bool(self._waiting)
            self._session.cancel()

    def go_on(self) -> None:
        """Run what is held."""
        self._held = ""
        self._go()

    def drop(self, line: EnteredLine | None = None) -> None:
        """Forget a line that waits, None for all of them."""
        self._waiting = [] if line is None else [each for each in self._waiting if each is not line]
        if not self._waiting:
            self._held = ""
        self._tell()

    def _go(self) -> None:
        if self._waiting and not self._held and not self._session.is_running:
            line = self._waiting.pop(0)
            self._was_cancelled = False
            self._session.run(
                line.text,
                stdin=line.stdin,
                takes_input=line.takes_input,
                by_guests_shell=line.by_guests_shell,
                shell=line.shell,
            )
        self._tell()

    def _happened(self, fact: SessionFact) -> None:
        if isinstance(fact, CommandEnded) and self._waiting:
            self._held = self._held or self._why_held(fact.finished)
            # The session has a few steps to go behind this fact; whatever is entered meanwhile comes last all the same.
            asyncio.get_running_loop().call_soon(self._go)

    def _why_held(self, finished: Finished | None) -> str:
        if self._was_cancelled:
            return "was cancelled"
        if finished is None:
            return "could not be run"
        return "" if finished.end in {End.EXITED, End.CANCELLED} else f"was {finished.end}"

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()
