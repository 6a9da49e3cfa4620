"""What a console shows: immutable entries in a bounded scrollback, and how text becomes lines."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from tui.agent.exec_model import Stream
from tui.model.text import SHOWN_LIMIT, Shown, printable

SCROLLBACK = 100_000
"""Entries that a transcript keeps."""
_TAB = 8


@dataclass(frozen=True, slots=True)
class PromptLine:
    """The user ran `text` as command `number` of the session; `at` is Unix time in seconds."""

    number: int
    text: Shown
    at: float


@dataclass(frozen=True, slots=True)
class OutputLine:
    """The command wrote a line; the last one of a stream may still grow."""

    number: int
    stream: Stream
    text: Shown


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """Something that the user should know about the run."""

    number: int
    text: Shown


@dataclass(frozen=True, slots=True)
class EndLine:
    """How the command ended; `is_good` is for a plain exit 0."""

    number: int
    text: Shown
    is_good: bool


Entry = PromptLine | OutputLine | NoticeLine | EndLine


class Transcript:
    """The entries of a session, oldest first. Each keeps its index for good; old ones are dropped from the front."""

    def __init__(self, limit: int = SCROLLBACK) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._total = 0

    @property
    def total(self) -> int:
        """The index that the next entry will get."""
        return self._total

    @property
    def first(self) -> int:
        """The index of the oldest entry that is still kept."""
        return self._total - len(self._entries)

    def append(self, entry: Entry) -> None:
        """Add one entry."""
        self._entries.append(entry)
        self._total += 1

    def since(self, index: int = 0) -> tuple[Entry, ...]:
        """The kept entries from `index` on."""
        return tuple(islice(self._entries, max(0, index - self.first), None))


class LineAssembler:
    """One stream's text into lines, as a terminal would leave them: a lone CR goes back and overwrites.

    A line longer than SHOWN_LIMIT characters becomes several.
    """

    def __init__(self) -> None:
        self._line = ""
        self._column = 0

    @property
    def partial(self) -> str:
        """The line that is not complete yet."""
        return self._line

    def feed(self, text: str) -> list[str]:
        """The lines that `text` completes."""
        lines: list[str] = []
        *complete, rest = text.split("\n")
        for piece in complete:
            lines += self._write(piece)
            lines.append(self._line)
            self._line, self._column = "", 0
        return lines + self._write(rest)

    def flush(self) -> list[str]:
        """The incomplete line, if there is one, at the end of the stream."""
        line, self._line, self._column = self._line, "", 0
        return [line] if line else []

    def _write(self, piece: str) -> list[str]:
        full: list[str] = []
        for index, segment in enumerate(piece.split("\r")):
            if index:
                self._column = 0
            end = self._column + len(segment)
            self._line = self._line[: self._column] + segment + self._line[end:]
            self._column = end
            while len(self._line) > SHOWN_LIMIT:
                full.append(self._line[:SHOWN_LIMIT])
                self._line = self._line[SHOWN_LIMIT:]
                self._column = max(0, self._column - SHOWN_LIMIT)
        return full


def shown_line(line: str) -> Shown:
    """A line of output as it is drawn: tabs become spaces, controls U+FFFD."""
    expanded = line.expandtabs(_TAB)
    return printable(expanded, limit=max(len(expanded), 1))
