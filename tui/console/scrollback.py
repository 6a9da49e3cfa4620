"""What the commands of a session wrote: read as text in one encoding, and kept as bytes to be read in another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tui.agent.exec_model import End, Finished, Output, Stream
from tui.console.charset import Charset
from tui.console.record import SLICE, CommandRecord, KeptBytes, Reader, entries_of
from tui.console.session_facts import OutputArrived, ReadAnew, SessionFact, StatusChanged
from tui.console.spill import Spill
from tui.console.transcript import (
    BLOCK,
    SPILL_LIMIT,
    EndLine,
    Entry,
    NoticeLine,
    OutputLine,
    PromptLine,
    Transcript,
    shown_line,
)
from tui.console.wording import end_in_words, kept_in_words

KEPT_BYTES = 512 * 1024 * 1024
"""Bytes of output that are kept on disk, to be saved or read in another encoding."""


class Scrollback:
    """The commands of one session, one open at a time. All methods belong to the event loop's thread."""

    def __init__(
        self, charset: Charset, tell: Callable[[SessionFact], None] = lambda fact: None, *, limit: int | None = None
    ) -> None:
        """`tell` is given the fact of every change; `limit` bounds the bytes and the text that are kept, in bytes."""
        self._limit = limit
        self.transcript = self._empty()
        self.records: list[CommandRecord] = []
        self.charset = charset
        self._tell = tell
        self._spill = Spill(limit or KEPT_BYTES)
        self._reader: Reader | None = None
        self._read_as = charset
        self._has_told_trouble = False

    @property
    def last(self) -> CommandRecord | None:
        """The command that was begun last."""
        return self.records[-1] if self.records else None

    @property
    def last_line(self) -> str:
        """The output line that came last, without the white space around it; empty without one."""
        transcript = self.transcript
        for number in range(transcript.whole_blocks, transcript.first // BLOCK - 1, -1):
            for entry in reversed(transcript.block(number)):
                if isinstance(entry, OutputLine):
                    return str(entry.text).strip()
        return ""

    @property
    def open_lines(self) -> tuple[OutputLine, ...]:
        """The lines that are not complete yet, one per stream at most; to be shown below the transcript."""
        return self._reader.open_lines if self._reader is not None else ()

    def begin(self, line: str) -> CommandRecord:
        """Open the record of a command; `settle` closes it."""
        record = CommandRecord(len(self.records) + 1, line)
        self.records.append(record)
        self._reader, self._read_as = Reader(record.number, self.charset), self.charset
        at = time.time()
        rows = enumerate(line.split("\n"))
        self._keep(record, [PromptLine(record.number, shown_line(row), at, goes_on=place > 0) for place, row in rows])
        return record

    async def take(self, record: CommandRecord, output: Output) -> None:
        """Add what the open command wrote, giving way to keys between slices."""
        first_file = self._spill.first_file
        record.note(output.stream, self._spill.put(output.data))
        if self._spill.first_file != first_file:
            for each in self.records:
                each.forget_before(self._spill.first_file)
        for start in range(0, len(output.data), SLICE):
            if self._reader is not None:
                self.transcript.extend(self._reader.feed(output.stream, output.data[start : start + SLICE]))
                record.is_binary = self._reader.is_binary
            self._tell(OutputArrived(record.number))
            await asyncio.sleep(0)
        trouble = self._spill.trouble or self.transcript.trouble
        if trouble and not self._has_told_trouble:
            self._has_told_trouble = True
            self.say(record, kept_in_words(trouble))

    def say(self, record: CommandRecord | None, text: str) -> None:
        """Add words of ours, about a command or about the session."""
        number = record.number if record is not None else 0
        self._keep(record, [NoticeLine(number, shown_line(text))])
        self._tell(OutputArrived(number))

    def end(self, record: CommandRecord, finished: Finished) -> None:
        """Add how the open command ended."""
        record.finished = finished
        self.transcript.extend(self._reader.flush() if self._reader is not None else [])
        is_good = finished.end is End.EXITED and finished.exit_code == 0
        words = shown_line(end_in_words(finished, record.pid))
        self._keep(record, [EndLine(record.number, words, is_good)])

    def refuse(self, record: CommandRecord, words: str) -> None:
        """Add why the open command could not be run, or not be followed to its end."""
        self.transcript.extend(self._reader.flush() if self._reader is not None else [])
        self._keep(record, [EndLine(record.number, shown_line(words), is_good=False)])

    def close(self) -> None:
        """Take nothing more of the open command."""
        self._reader = None

    async def settle(self) -> None:
        """With no command open, read all in the encoding that was chosen meanwhile."""
        if self._reader is None and self._read_as is not self.charset:
            await self._read_anew()

    async def use_charset(self, choice: str) -> None:
        """Read in another encoding, what came already too; raises LookupError for an unknown one."""
        charset = Charset(choice, self.charset.oem_page)
        charset.decoder()
        self.charset = charset
        self._tell(StatusChanged())
        await self.settle()

    def output_of(self, record: CommandRecord, stream: Stream) -> KeptBytes:
        """The bytes that a command wrote to one stream, as they came."""
        return KeptBytes(record, stream, self._spill)

    async def _read_anew(self) -> None:
        fresh, charset = self._empty(), self.charset
        for record in tuple(self.records):
            for entries in entries_of(record, charset, self._spill):
                fresh.extend(entries)
                await asyncio.sleep(0)
        if charset is not self.charset or self._reader is not None:
            fresh.close()
            return
        # Whoever still searches or saves the old one reads it to its end; its file goes with the last of them.
        self.transcript, self._read_as = fresh, charset
        self._tell(ReadAnew())

    def _empty(self) -> Transcript:
        return Transcript(self._limit or SPILL_LIMIT)

    def _keep(self, record: CommandRecord | None, entries: list[Entry]) -> None:
        self.transcript.extend(entries)
        if record is not None:
            record.items.extend(entries)
