"""What a console shows: immutable entries in a bounded scrollback, and how text becomes lines."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tui.agent.exec_model import Stream
from tui.console.line_widths import LineWidths
from tui.console.spill import Place, Spill
from tui.model.text import SHOWN_LIMIT, Shown, coloured

BLOCK = 1024
"""Entries that go to disk together."""
SPILL_LIMIT = 1024**3
"""Bytes of text that a transcript keeps on disk."""
_CACHED_BLOCKS = 4
"""Whole blocks that stay in memory: a view shows parts of two."""
_TAB = 8


@dataclass(frozen=True, slots=True)
class PromptLine:
    """The user ran `text` as command `number` of the session; `at` is Unix time in seconds.

    A script has one for each of its lines; `goes_on` is for those after the first.
    """

    number: int
    text: Shown
    at: float
    goes_on: bool = False


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
    """The entries of a session, oldest first. Each keeps its index for good; the oldest are dropped from the front.

    Only the newest entries are in memory: full blocks go to a private file and are read back where they are looked at.
    `widths` is what views have measured of whole blocks, by their numbers: it is here to outlive them.
    """

    def __init__(self, limit: int = SPILL_LIMIT) -> None:
        """`limit` is in bytes of text on disk."""
        self.widths: dict[int, LineWidths] = {}
        self._spill = Spill(limit)
        self._blocks: deque[Place] = deque()
        self._first_block = 0
        self._tail: list[Entry] = []
        self._cached: OrderedDict[int, tuple[Entry, ...]] = OrderedDict()

    @property
    def trouble(self) -> str:
        """Why the disk takes no more of it; empty while it does."""
        return self._spill.trouble

    @property
    def total(self) -> int:
        """The index that the next entry will get."""
        return self.whole_blocks * BLOCK + len(self._tail)

    @property
    def first(self) -> int:
        """The index of the oldest entry that is still kept."""
        return self._first_block * BLOCK

    @property
    def whole_blocks(self) -> int:
        """How many blocks are complete, those that were dropped included; block n begins with entry n * BLOCK."""
        return self._first_block + len(self._blocks)

    def append(self, entry: Entry) -> None:
        """Add one entry."""
        self.extend((entry,))

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add entries."""
        self._tail.extend(entries)
        tail, place = self._tail, 0
        while len(tail) - place >= BLOCK:
            full = tail[place : place + BLOCK]
            place += BLOCK
            self._cache(self.whole_blocks, tuple(full))
            self._blocks.append(self._spill.put("\n".join(map(_packed, full)).encode()))
            while self._blocks[0].file < self._spill.first_file:
                self._blocks.popleft()
                self._cached.pop(self._first_block, None)
                self.widths.pop(self._first_block, None)
                self._first_block += 1
        del tail[:place]

    def block(self, number: int) -> tuple[Entry, ...]:
        """The entries of one block, complete or not; empty where it was dropped or is yet to come."""
        if number >= self.whole_blocks:
            return tuple(self._tail) if number == self.whole_blocks else ()
        if number < self._first_block:
            return ()
        if number not in self._cached:
            packed = self._spill.get(self._blocks[number - self._first_block]).decode()
            self._cache(number, tuple(map(_unpacked, packed.split("\n"))))
        self._cached.move_to_end(number)
        return self._cached[number]

    def since(self, index: int = 0) -> Iterator[Entry]:
        """The kept entries from `index` on."""
        index = max(index, self.first)
        for number in range(index // BLOCK, self.whole_blocks + 1):
            yield from self.block(number)[max(0, index - number * BLOCK) :]

    def _cache(self, number: int, entries: tuple[Entry, ...]) -> None:
        self._cached[number] = entries
        if len(self._cached) > _CACHED_BLOCKS:
            self._cached.popitem(last=False)

    def close(self) -> None:
        """Give the file back: of what was in it, nothing is kept any more."""
        self._first_block = self.whole_blocks
        self._blocks.clear()
        self._cached.clear()
        self._spill.close()


def _packed(entry: Entry) -> str:
    match entry:
        case OutputLine(number=number, stream=stream, text=text):
            return f"{'o' if stream is Stream.STDOUT else 'e'}{number} {text}"
        case PromptLine(number=number, text=text, at=at, goes_on=goes_on):
            return f"{'>' if goes_on else 'p'}{number} {at!r} {text}"
        case NoticeLine(number=number, text=text):
            return f"n{number} {text}"
        case EndLine(number=number, text=text, is_good=is_good):
            return f"{'=' if is_good else '!'}{number} {text}"


def _unpacked(line: str) -> Entry:
    head, _, rest = line.partition(" ")
    kind, number, text = head[0], int(head[1:]), Shown(rest)
    match kind:
        case "o" | "e":
            return OutputLine(number, Stream.STDOUT if kind == "o" else Stream.STDERR, text)
        case "p" | ">":
            at, _, typed = rest.partition(" ")
            return PromptLine(number, Shown(typed), float(at), goes_on=kind == ">")
        case "n":
            return NoticeLine(number, text)
        case _:
            return EndLine(number, text, is_good=kind == "=")


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
        *complete, rest = text.split("\n")
        is_plain = "\r" not in text and self._column == len(self._line)
        if complete and is_plain and self._column + max(map(len, complete)) <= SHOWN_LIMIT:
            complete[0] = self._line + complete[0]
            self._line, self._column = "", 0
            return complete + self._write(rest)
        lines: list[str] = []
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
            # Columns cannot be counted across control sequences: such a line is written anew from its start.
            has_controls = bool(index and segment) and ("\x1b" in self._line or "\x1b" in segment)
            rest = "" if has_controls else self._line[end:]
            self._line = self._line[: self._column] + segment + rest
            self._column = end
            while len(self._line) > SHOWN_LIMIT:
                full.append(self._line[:SHOWN_LIMIT])
                self._line = self._line[SHOWN_LIMIT:]
                self._column = max(0, self._column - SHOWN_LIMIT)
        return full


def shown_line(line: str) -> Shown:
    """A line of output as it is drawn: tabs become spaces, colours stay, other control sequences go."""
    return coloured(line.expandtabs(_TAB))
