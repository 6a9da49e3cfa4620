"""Where `qga-tui exec` writes what a command wrote: bytes as they came, or text that cannot steer a terminal.

Of a guest's control sequences a terminal gets those of colours alone (SGR), unless NO_COLOR forbids them
(https://no-color.org): they are reset before each line's end and wherever we stop writing, and chosen anew behind that.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from tui.console.charset import Charset
from tui.console.textstream import Colours, TextStream
from tui.model.text import Shown, coloured, printable, without_colours, without_controls

_RESET = "\x1b[0m"
_UNENDED = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\r\x07\x1b\x90\x98\x9c-\x9f]*\x1b?"
    r"|\x1b[ -/]*)\Z"
)
"""A control sequence that may go on in what comes next; see `model.text`."""
_HELD = 4096
"""Characters of such a sequence that are waited for to go on."""


class Sink:
    """Bytes to a file or a pipe, unchanged and at once. A slow reader holds the run up, as in any pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Hand `data` on."""
        self._stream.write(data)
        self._stream.flush()

    def finish(self) -> None:
        """The command writes no more."""


class LineSink(Sink):
    """Text in whole lines with a prefix each; colours stay where `keeps_colours`."""

    def __init__(self, stream: BinaryIO, charset: Charset, prefix: str, *, keeps_colours: bool) -> None:
        super().__init__(stream)
        self._text = TextStream(charset)
        self._prefix = printable(prefix)
        self._keeps_colours = keeps_colours

    def write(self, data: bytes) -> None:
        """Hand on the lines that `data` completes."""
        self._show(self._text.feed(data))

    def finish(self) -> None:
        """Hand on the rest."""
        self._show(self._text.flush())

    def _show(self, lines: list[Shown]) -> None:
        if lines:
            super().write("".join(f"{self._prefix}{self._drawn(line)}\n" for line in lines).encode())

    def _drawn(self, line: Shown) -> str:
        if not self._keeps_colours:
            return without_colours(line)
        return f"{line}{_RESET}" if "\x1b" in line else line


class TerminalSink(Sink):
    """Text to a terminal as it comes: newlines and tabs stay, CR LF and CR become a newline, the rest as `coloured`."""

    def __init__(self, stream: BinaryIO, charset: Charset, *, keeps_colours: bool) -> None:
        super().__init__(stream)
        self._decoder = charset.decoder()
        self._keeps_colours = keeps_colours
        self._colours = Colours()
        self._held = ""

    def write(self, data: bytes) -> None:
        """Hand on what is complete of `data`."""
        text = self._held + self._decoder.feed(data)
        unended = _UNENDED.search(text, max(0, len(text) - _HELD))
        end = unended.start() if unended is not None else len(text) - text.endswith("\r")
        self._held = text[end:]
        self._show(text[:end])

    def finish(self) -> None:
        """Hand on the rest."""
        text, self._held = self._held + self._decoder.flush(), ""
        self._show(text)

    def _show(self, text: str) -> None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        super().write("\n".join(map(self._drawn, lines)).encode())

    def _drawn(self, line: str) -> str:
        """One line, or what came of it."""
        if not line:
            return ""
        cells = without_controls(self._colours.open + line).split("\t")
        shown = Shown("\t".join(map(coloured, cells)))
        if not self._keeps_colours:
            return without_colours(shown)
        self._colours.follow(shown)
        return f"{shown}{_RESET}" if "\x1b" in shown else shown


def sink_for(stream: BinaryIO, charset: Charset, prefix: str) -> Sink:
    """What fits the stream: with a `prefix` text in lines, without one text for a terminal alone."""
    keeps_colours = stream.isatty() and not os.environ.get("NO_COLOR")
    if prefix:
        return LineSink(stream, charset, prefix, keeps_colours=keeps_colours)
    return TerminalSink(stream, charset, keeps_colours=keeps_colours) if stream.isatty() else Sink(stream)
