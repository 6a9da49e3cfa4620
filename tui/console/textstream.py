"""One stream of a command on its way from bytes to lines; what it reads cannot depend on how the bytes were cut."""

from __future__ import annotations

import codecs
import re

from tui.console import clixml
from tui.console.charset import AUTO, Charset
from tui.console.transcript import LineAssembler, shown_line
from tui.model.text import SGR, Shown

_LOOKED_AT = 1024
"""Bytes at the head of a stream that decide whether it is text."""
_NOT_IN_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_MANY = 0.1
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_COLOURS_KEPT = 16
"""Sequences that a line hands on to the next one, which a reset ends."""


def is_binary(head: bytes) -> bool:
    """Whether bytes do not look like text of any encoding that is read automatically.

    UTF-16 is full of zeros, every second byte at most.
    """
    head = head[:_LOOKED_AT]
    if head.startswith(_BOMS) or not head:
        return False
    zeros = head.count(0)
    if zeros and zeros == head[1::2].count(0) and zeros > len(head) / 8:
        return False
    return zeros > 0 or len(_NOT_IN_TEXT.findall(head)) > _MANY * len(head)


class _Judge:
    """Lets the bytes of a stream pass as long as they look like text.

    From the first one that is in no text they wait until the stream's head is whole: then all pass, or none.
    """

    def __init__(self) -> None:
        self.is_binary = False
        self._head = b""
        self._waiting = b""
        self._is_decided = False

    def passed(self, data: bytes) -> bytes:
        """What may be read now that `data` came too."""
        if self._is_decided:
            return b"" if self.is_binary else data
        room = _LOOKED_AT - len(self._head)
        self._head += data[:room]
        doubtful = _NOT_IN_TEXT.search(data, 0, room)
        clear = 0 if self._waiting else len(data) if doubtful is None else doubtful.start()
        self._waiting += data[clear:]
        is_whole = len(self._head) == _LOOKED_AT or self._head.startswith(_BOMS)
        return data[:clear] + (self.rest() if is_whole else b"")

    def rest(self) -> bytes:
        """What waited, now that the head is whole or no more of it comes."""
        if not self._is_decided:
            self._is_decided, self.is_binary = True, is_binary(self._head)
        waited, self._waiting = self._waiting, b""
        return b"" if self.is_binary else waited


class Colours:
    """The colours that are in force where a line ended, as the sequences in `open` that choose them again."""

    def __init__(self) -> None:
        self.open = ""

    def follow(self, line: str) -> None:
        """Take the next line, which began with `open`."""
        resets = [match.end() for match in SGR.finditer(line) if match[1] in {"", "0"}]
        chosen = [match[0] for match in SGR.finditer(line, resets[-1] if resets else 0)]
        # Of equal sequences the last one says all that the others said.
        latest = list(dict.fromkeys(reversed(chosen)))[:_COLOURS_KEPT]
        self.open = "".join(reversed(latest))


class TextStream:
    """Feed it bytes, take lines. Colours that were not reset at a line's end go on in the next line.

    Bytes after one that is in no text are read once it is clear that the stream is text all the same.
    """

    def __init__(self, charset: Charset) -> None:
        self._decoder = charset.decoder()
        self._judge = _Judge() if charset.choice == AUTO else None
        self._lines = LineAssembler()
        self._colours = Colours()
        self._head: str | None = ""

    @property
    def is_binary(self) -> bool:
        """Whether it is no text, as far as is known by now."""
        return self._judge is not None and self._judge.is_binary

    @property
    def partial(self) -> Shown:
        """The line that is not complete yet."""
        has_partial = self._lines.partial and not self.is_binary
        return shown_line(self._colours.open + self._lines.partial) if has_partial else Shown("")

    def feed(self, data: bytes) -> list[Shown]:
        """The lines that `data` completes; none once it is clear that the stream is no text."""
        read = data if self._judge is None else self._judge.passed(data)
        return self._read(self._decoder.feed(read), ends=False) if read else []

    def flush(self) -> list[Shown]:
        """What was left incomplete at the end of the stream."""
        waited = b"" if self._judge is None else self._judge.rest()
        if self.is_binary:
            return []
        lines = self._read(self._decoder.feed(waited), ends=False) if waited else []
        lines += self._read(self._decoder.flush(), ends=True)
        return lines + self._shown(self._lines.flush())

    def _read(self, text: str, *, ends: bool) -> list[Shown]:
        if self._head is None:
            return self._shown(self._lines.feed(text))
        head = self._head + text
        may_be_clixml = clixml.HEAD.startswith(head) or (head.startswith(clixml.HEAD) and len(head) <= clixml.LIMIT)
        if may_be_clixml and not ends:
            self._head = head
            return []
        self._head = None
        return self._shown(self._lines.feed(clixml.text_of(head) if head.startswith(clixml.HEAD) else head))

    def _shown(self, lines: list[str]) -> list[Shown]:
        if not self._colours.open and not any("\x1b" in line for line in lines):
            return [shown_line(line) for line in lines]
        return [self._with_colours(line) for line in lines]

    def _with_colours(self, line: str) -> Shown:
        shown = shown_line(self._colours.open + line)
        self._colours.follow(shown)
        return shown
