"""The far end of a copy: each piece is written, then summed up, on threads of their own while the next one is read."""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tui.backup.direct import DirectFile, aligned_memory
from tui.backup.errors import CancelledBackupError
from tui.backup.meter import Meter
from tui.backup.sparse_sum import SparseSum

CHUNK = 4 * 1024 * 1024
"""Bytes of one piece: what a disk is asked for at once."""
HOLE = 1024 * 1024
"""Bytes of a part of a piece; a part of nothing but zeros becomes a hole."""
BUFFERS = 8
ROOM_POLL_S = 1.0
_LOOK_S = 0.2
_PROBE = 4096
_ZEROS = bytes(HOLE)


@dataclass(frozen=True, slots=True)
class _Piece:
    """`count` bytes that were at byte `start`; without a buffer they are zeros."""

    start: int
    count: int
    buffer: memoryview | None = None


_Pieces = queue.SimpleQueue[_Piece | None]


class Landing:
    """Takes pieces in their order, writes those that are not zeros where there is a target, and sums all of them up.

    Its buffers go round: reader, writer, sum. What goes wrong on its threads is raised by the next `buffer` or `end`.
    As a context it is given up where its body fails. The writer has a descriptor of its own, so that `target_fd` may
    be closed while a write hangs in the kernel, and its number used again.
    """

    def __init__(self, meter: Meter, target_fd: int | None) -> None:
        self._meter = meter
        self._target = DirectFile(os.dup(target_fd)) if target_fd is not None else None
        self._sum = SparseSum(meter.zeros)
        self._failure: BaseException | None = None
        self._given_up = False
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._to_write: _Pieces = queue.SimpleQueue()
        self._to_sum: _Pieces = queue.SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(aligned_memory(CHUNK))
        self._threads = (
            threading.Thread(target=self._serve, args=(self._write_out, self._to_write), name="write", daemon=True),
            threading.Thread(target=self._serve, args=(self._sum_up, self._to_sum), name="sha256", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.give_up()

    def buffer(self) -> memoryview:
        """CHUNK bytes of aligned memory to read into; waits until they are free."""
        free = self._free.get()
        self._raise_failure()
        return free

    def hole(self, count: int) -> None:
        """Take zeros that were not read."""
        self._meter.wait(0)
        self._to_write.put(_Piece(0, count))

    def data(self, buffer: memoryview, count: int, start: int) -> None:
        """Take the first `count` bytes of a buffer, which were at byte `start`; it must not be touched any more."""
        self._to_write.put(_Piece(start, count, buffer))

    def end(self) -> str:
        """The sum in hexadecimal, once all is written; raises what went wrong, and CancelledBackupError."""
        self._to_write.put(None)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_LOOK_S)
                self._meter.wait(0)
        self._raise_failure()
        return self._sum.hexdigest()

    def give_up(self) -> None:
        """End without a sum, at once, and wait for nobody: what is being written may hang in the kernel for ever.

        No other piece is written afterwards; whoever still brings pieces is told by the next `buffer`.
        """
        self._given_up = True
        self._failure = self._failure or CancelledBackupError("The copy was given up")
        self._to_write.put(None)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _serve(self, work: Callable[[_Piece], None], pieces: _Pieces) -> None:
        """Work on pieces until the end is told; after a failure they only go round, so that nobody waits for ever."""
        is_writer = pieces is self._to_write
        while (piece := pieces.get()) is not None:
            if self._failure is None and not self._given_up:
                try:
                    work(piece)
                except BaseException as error:  # noqa: BLE001 - whatever it was, the reader's thread raises it
                    self._failure = error
            if is_writer:
                self._to_sum.put(piece)
            elif piece.buffer is not None:
                self._free.put(piece.buffer)
        if is_writer:
            self._to_sum.put(None)
            if self._target is not None:
                with suppress(OSError):  # what is to last was written out by whoever has the other descriptor
                    os.close(self._target.descriptor)

    def _write_out(self, piece: _Piece) -> None:
        if self._target is None or piece.buffer is None:
            return
        for start, end in _filled(piece.buffer[: piece.count]):
            self._write_when_there_is_room(self._target, piece.buffer[start:end], piece.start + start)

    def _write_when_there_is_room(self, target: DirectFile, piece: memoryview, offset: int) -> None:
        """Write a piece; on a full target try again until there is room, it is given up, or the order to stop comes."""
        while not self._given_up:
            try:
                with self._meter.asking():
                    _write(target, piece, offset)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._meter.full = True
                self._meter.wait(ROOM_POLL_S)
            else:
                self._meter.full = False
                return

    def _sum_up(self, piece: _Piece) -> None:
        if piece.buffer is not None:
            self._sum.data(piece.buffer[: piece.count])
            self._meter.done += piece.count
            return
        for count in self._sum.zeros(piece.count):
            self._meter.skipped += count
            if self._given_up:
                return


def _filled(piece: memoryview) -> Iterator[tuple[int, int]]:
    """Begin and end of every run of parts that are not all zeros."""
    begin = None
    for at in range(0, len(piece), HOLE):
        if _is_empty(piece[at : at + HOLE]):
            if begin is not None:
                yield begin, at
            begin = None
        elif begin is None:
            begin = at
    if begin is not None:
        yield begin, len(piece)


def _is_empty(part: memoryview) -> bool:
    """Whether a part is nothing but zeros; most that are not show it in their first bytes."""
    return bytes(part[:_PROBE]) == _ZEROS[: min(len(part), _PROBE)] and bytes(part) == _ZEROS[: len(part)]


def _write(target: DirectFile, piece: memoryview, offset: int) -> None:
    while piece:
        written = target.write(piece, offset)
        piece, offset = piece[written:], offset + written
