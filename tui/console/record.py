"""What is kept of one command: its line, its bytes as they came, and its end, so that it can be read again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from tui.agent.exec_model import Finished, Stream
from tui.console.charset import Charset
from tui.console.spill import Place, Spill
from tui.console.textstream import TextStream
from tui.console.transcript import EndLine, Entry, NoticeLine, OutputLine, PromptLine
from tui.model.text import Shown, printable

SLICE = 64 * 1024
"""Bytes that are read as text at a time: between two slices, keys are answered."""


JOINED_BYTES = 1024 * 1024
"""Bytes of one stream that lie side by side and are noted as one chunk at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of one stream, in the order in which they came."""

    stream: Stream
    place: Place


@dataclass(slots=True)
class CommandRecord:
    """One command of a session; `items` are its prompt, its chunks, its notices and its end."""

    number: int
    line: str
    pid: int = 0
    items: list[Chunk | Entry] = field(default_factory=list)
    finished: Finished | None = None
    is_binary: bool = False
    given_back: Counter[Stream] = field(default_factory=Counter)
    """Bytes of each stream, the oldest, that are no longer kept."""

    def note(self, stream: Stream, place: Place) -> None:
        """Note where the next bytes were put, with those before them where they lie side by side.

        What is noted grows with the bytes that are kept, not with the pieces in which they came.
        """
        last = self.items[-1] if self.items else None
        if isinstance(last, Chunk) and last.stream is stream and _joins(last.place, place):
            place = Place(place.file, last.place.offset, last.place.length + place.length)
            self.items[-1] = Chunk(stream, place)
        else:
            self.items.append(Chunk(stream, place))

    def forget_before(self, file: int) -> None:
        """Forget the places in older files of the spill: they were given back."""
        kept: list[Chunk | Entry] = []
        for item in self.items:
            if isinstance(item, Chunk) and item.place.file < file:
                self.given_back[item.stream] += item.place.length
            else:
                kept.append(item)
        self.items = kept

    def has_written(self, stream: Stream) -> bool:
        """Whether anything came of it on the stream."""
        return self.given_back[stream] > 0 or any(
            isinstance(item, Chunk) and item.stream is stream for item in self.items
        )


def _joins(before: Place, place: Place) -> bool:
    is_next = before.file == place.file and before.offset + before.length == place.offset
    return is_next and before.length + place.length <= JOINED_BYTES


class KeptBytes:
    """What a command wrote to one stream, to be gone through once.

    `lost` counts the bytes met on the way that were no longer kept: the oldest, which are left out.
    """

    def __init__(self, record: CommandRecord, stream: Stream, spill: Spill) -> None:
        self.lost = record.given_back[stream]
        self._record = record
        self._stream = stream
        self._spill = spill

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """A piece after the other, giving way to keys between them."""
        for item in tuple(self._record.items):
            if isinstance(item, Chunk) and item.stream is self._stream:
                try:
                    piece = self._spill.get(item.place)
                except KeyError:
                    self.lost += item.place.length
                    continue
                yield piece
                await asyncio.sleep(0)


class Reader:
    """A command's two streams on their way to entries."""

    def __init__(self, number: int, charset: Charset) -> None:
        self._number = number
        self._streams = {stream: TextStream(charset) for stream in Stream}
        self._told: set[Stream] = set()

    @property
    def is_binary(self) -> bool:
        """Whether a stream is no text."""
        return any(stream.is_binary for stream in self._streams.values())

    @property
    def open_lines(self) -> tuple[OutputLine, ...]:
        """The lines that are not complete yet, one per stream at most."""
        partials = ((stream, opened.partial) for stream, opened in self._streams.items())
        return tuple(OutputLine(self._number, stream, text) for stream, text in partials if text)

    def feed(self, stream: Stream, data: bytes) -> list[Entry]:
        """The entries that `data` completes."""
        return self._entries(stream, self._streams[stream].feed(data))

    def flush(self) -> list[Entry]:
        """The entries of what was left incomplete."""
        return [entry for stream, opened in self._streams.items() for entry in self._entries(stream, opened.flush())]

    def _entries(self, stream: Stream, lines: list[Shown]) -> list[Entry]:
        """The lines as entries; where it has just become clear that the stream is no text, with a word about that."""
        entries: list[Entry] = [OutputLine(self._number, stream, line) for line in lines]
        if self._streams[stream].is_binary and stream not in self._told:
            self._told.add(stream)
            words = f"{stream} is no text and is not shown; save it as a file to look at it."
            entries.append(NoticeLine(self._number, printable(words)))
        return entries


def entries_of(record: CommandRecord, charset: Charset, spill: Spill) -> Iterator[list[Entry]]:
    """Read a command again, a slice at a time."""
    reader = Reader(record.number, charset)
    for item in tuple(record.items):
        match item:
            case Chunk(stream=stream, place=place):
                try:
                    data = spill.get(place)
                except KeyError:
                    continue
                for start in range(0, len(data), SLICE):
                    yield reader.feed(stream, data[start : start + SLICE])
            case EndLine():
                yield [*reader.flush(), item]
            case PromptLine() | NoticeLine() | OutputLine():
                yield [item]
    record.is_binary = reader.is_binary
