"""The program's list on a terminal of its own, filtered to one guest: every look of its row, in order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pyte

from tests.live.watched import PATIENCE_S
from tests.terminal import Terminal
from tui import settings
from tui.fleet.words import GLYPHS
from tui.model.guest import AgentState

COLUMNS, LINES = 300, 90
"""Room for all columns, and beside them for a guest's whole timeline."""
STATES = {f"{glyph} {state}": state for state, glyph in GLYPHS.items()}
HEADINGS = ("AGENT", "SINCE", "PING", "SYSTEM")
TIMELINE = "Timeline of this run"


@dataclass(frozen=True)
class Look:
    """What stands in the row of a guest."""

    state: AgentState
    since: str
    ping: str
    reason: str


class ShownGuest:
    """One guest as a user sees it in the list, and in the details beside it."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self._terminal, self._name = terminal, name
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0
        self._looked = asyncio.Condition()
        self.look: Look | None = None
        self.states: list[AgentState] = []

    async def keep_up(self) -> None:
        """Take in what the program writes, until cancelled."""
        while self._terminal.process.poll() is None:
            await asyncio.to_thread(self._terminal.read_for, 0.02)
            self._stream.feed(bytes(self._terminal.written[self._fed :]))
            self._fed = len(self._terminal.written)
            async with self._looked:
                self._take_in_the_row()
                self._looked.notify_all()

    def _take_in_the_row(self) -> None:
        lines = self._screen.display
        header = next((line for line in lines if "GUEST" in line and "AGENT" in line), "")
        row = next((line for line in lines if line[1:].startswith(self._name + " ")), "")
        if not header or not row:
            return
        agent, since, ping, system = (header.find(heading) for heading in HEADINGS)
        reason = header.find("REASON")
        state = STATES.get(row[agent:since].strip())
        if state is None:
            return
        self.look = Look(
            state, row[since:ping].strip(), row[ping:system].strip(), row[reason:].partition("│")[0].strip()
        )
        if self.states[-1:] != [state]:
            self.states.append(state)

    async def until(self, state: AgentState, reason: str = "") -> Look:
        """Wait for the row to say so; raises AssertionError with the whole screen."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._looked:
                while (look := self.look) is None or look.state is not state or reason not in look.reason:
                    await self._looked.wait()
        except TimeoutError as error:
            told = f"{self._name} did not become {state} ({reason}): {self.look}\n{self._picture()}"
            raise AssertionError(told) from error
        return look

    async def until_written(self, text: str) -> None:
        """Wait for a text anywhere on the screen; raises AssertionError with the whole screen."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._looked:
                await self._looked.wait_for(lambda: any(text in line for line in self._screen.display))
        except TimeoutError as error:
            raise AssertionError(f"{text} was not shown\n{self._picture()}") from error

    @property
    def written(self) -> str:
        """All that the program wrote to the terminal, control sequences included."""
        return self._terminal.written.decode("utf-8", "surrogateescape")

    def press(self, keys: str) -> None:
        """Type."""
        self._terminal.type(keys)

    def _picture(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def ask(self) -> None:
        """Press the key that pings the guest and lists its host anew."""
        self.press("r")

    def timeline(self) -> list[str]:
        """What the details beside the list say of what happened, oldest first."""
        shown = [line.rpartition("│")[2].strip() for line in self._screen.display]
        begin = next(place for place, line in enumerate(shown) if line.startswith(TIMELINE)) + 1
        end = next(place for place in range(begin, len(shown)) if not shown[place])
        return [line.partition("  ")[2] for line in reversed(shown[begin:end])]


@asynccontextmanager
async def shown_guest(uri: str, name: str) -> AsyncIterator[ShownGuest]:
    """Open the program on a host with the cursor on one guest; it asks agents only when their ports open, or by key."""
    settings.private_folder(settings.config_folder())
    (settings.config_folder() / "config.toml").write_text("ping_every_s = 3600\n")
    with Terminal([sys.executable, "-m", "tui", "-c", uri], COLUMNS, LINES) as terminal:
        await asyncio.to_thread(terminal.read_until, lambda written: name.encode() in written)
        terminal.type(f"/{name}\r")
        shown = ShownGuest(terminal, name)
        keeping_up = asyncio.create_task(shown.keep_up())
        try:
            yield shown
        finally:
            keeping_up.cancel()
            await asyncio.gather(keeping_up, return_exceptions=True)
