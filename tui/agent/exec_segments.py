"""One stream of a running command, read from the segments that `exec_scripts.PUMP` writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.exec_scripts import SEGMENT, WINDOW
from tui.agent.files import READ_PIECE, opened, read_chunk
from tui.agent.transport import Transport

SETTLE_S = 1.5
"""Seconds in which a pump delivers what its FIFO held when we had read all segments: it sleeps for 1 s at most."""
BACKLOG = (WINDOW + 2) * SEGMENT
"""Bytes that can be on their way at any moment: the window, the segment being written and the FIFO (at most 1 MiB)."""
_END = re.compile(rb"([oe]) (\d{1,9}) (lost)?")
_ENDS_LIMIT = 256
"""Bytes of the file of the ends that are looked at; the pumps write less than a tenth."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """What a pump said when its stream had ended: how many segments it wrote, and whether some of it was lost."""

    segments: int
    was_lost: bool


async def read_ends(transport: Transport, path: str) -> dict[str, StreamEnd] | None:
    """Which streams have ended, by name, as the pumps say in the file `path`; None where it is gone."""
    try:
        said = await read_chunk(transport, path, 0, _ENDS_LIMIT)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return None
    found = (_END.fullmatch(line) for line in said.split(b"\n"))
    return {each[1].decode("ascii"): StreamEnd(int(each[2]), each[3] is not None) for each in found if each}


class Segments:
    """Reads a stream once, in order; what was read is emptied in the guest."""

    def __init__(self, transport: Transport, base: str) -> None:
        """`base` is the path of the stream's segments without their numbers."""
        self._transport = transport
        self._base = base
        self._number = 0
        self._offset = 0
        self._pending = bytearray()
        self._has_ended = False
        self._caught_up_at: float | None = None
        self._since_gone = 0
        self.is_held_open = False
        self.was_lost = False

    @property
    def is_dry(self) -> bool:
        """Whether everything that the command wrote was read; to be taken, it may still be."""
        return self._has_ended or self.is_held_open

    async def fill(self) -> bool:
        """Read what there is, READ_PIECE and a segment at most; say whether that was all at the moment.

        What was read before an error is kept.
        """
        while len(self._pending) < READ_PIECE:
            if not await self._advance():
                return True
        return False

    def take(self) -> bytes:
        """What was read since the last call."""
        data = bytes(self._pending)
        self._pending.clear()
        return data

    async def fill_to_the_end(self, now: float, end: StreamEnd | None) -> None:
        """Like `fill`, for a command that is gone; `now` is in seconds of a monotonic clock.

        The stream ends where the pump says so. Where another process holds it open, it counts as read to the end
        (`is_held_open`) once everything that the command can have left behind was delivered.
        """
        if self.is_dry:
            return
        if end is not None:
            self.was_lost = end.was_lost
            await self._read_up_to(end.segments)
            return
        before = len(self._pending)
        is_all = await self.fill()
        self._since_gone += len(self._pending) - before
        if is_all and self._caught_up_at is None:
            self._caught_up_at = now
        has_settled = self._caught_up_at is not None and now - self._caught_up_at >= SETTLE_S
        self.is_held_open = has_settled or self._since_gone > BACKLOG

    def give_up(self) -> None:
        """Expect nothing more: the folder is gone."""
        self._has_ended = True

    async def _read_up_to(self, segments: int) -> None:
        """Read what an ended pump left, READ_PIECE and a segment at most: its segments do not grow any more."""
        while len(self._pending) < READ_PIECE and self._number < segments:
            asked = SEGMENT - self._offset
            count = await self._read_here()
            if count is None:
                self._number = segments
            elif self._offset == SEGMENT or count < asked:
                self._number += 1
                self._offset = 0
        self._has_ended = self._number >= segments

    async def _advance(self) -> bool:
        """Read on by one step; false where there is nothing at the moment."""
        if await self._read_here():
            return True
        if not self._offset:
            # The pump leaves no segment empty.
            return False
        if self._offset < SEGMENT:
            if not await self._exists(self._path(self._number + 1)):
                return False
            # The pump has left this segment: only now is what it holds all of it.
            if await self._read_here():
                return True
        async with opened(self._transport, self._path(self._number), "w"):
            self._number += 1
            self._offset = 0
        return True

    async def _read_here(self) -> int | None:
        """Read on in this segment: how many bytes came, None where it does not exist (yet)."""
        asked = SEGMENT - self._offset
        if not asked:
            return 0
        try:
            data = await read_chunk(self._transport, self._path(self._number), self._offset, asked)
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            return None
        self._offset += len(data)
        self._pending += data
        return len(data)

    async def _exists(self, path: str) -> bool:
        try:
            async with opened(self._transport, path, "r"):
                return True
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            return False

    def _path(self, number: int) -> str:
        return f"{self._base}.{number}"
