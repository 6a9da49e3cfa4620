"""Our standard streams: what is written to them is written whole, or it raises; none of them is ever missing.

Python's own streams over a raw descriptor (PYTHONUNBUFFERED, `python -u`) and over a non-blocking one write a part and
say so in a return value that nobody reads (io.RawIOBase.write); with these, that cannot happen.
"""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class WholeWriter(io.RawIOBase):
    """A descriptor that takes all of a write: it waits where the reader is slow, and raises OSError where it fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor, which stays open."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of `data` and return its length in bytes; raises OSError, with a part of it written perhaps."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                self._wait()
        return length

    def _wait(self) -> None:
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        room.poll()


def own_the_streams() -> None:
    """Make standard output and error whole, what their encoding lacks a `?`, and closed streams the null device.

    A closed stream's number would else be given to the next file that is opened, and our words land in that.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif name != "stdin" and isinstance(stream, io.TextIOWrapper):
            if stream is getattr(sys, f"__{name}__"):
                stream = _whole(stream)
                setattr(sys, name, stream)
                setattr(sys, f"__{name}__", stream)
            stream.reconfigure(errors="replace")


def _whole(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    encoding, by_line = stream.encoding, stream.line_buffering or stream.write_through
    writer = WholeWriter(stream.fileno())
    stream.flush()
    _PYTHONS_OWN.append(stream)
    return io.TextIOWrapper(io.BufferedWriter(writer), encoding=encoding, line_buffering=by_line)


_PYTHONS_OWN: list[io.TextIOWrapper] = []
"""The streams in whose place ours stand: forgotten, they would close their descriptors."""


def silence_stdout() -> None:
    """Let standard output lead nowhere: what is still buffered for a reader that is gone must not raise at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_now(code: int) -> NoReturn:
    """End the process without waiting for any thread, and without what standard output did not take yet."""
    logging.shutdown()
    os._exit(code)
