"""One stream of a running command, read from the segments that `exec_scripts.PUMP` writes."""

from __future__ import annotations

from tui.agent.every_step import every_step
from tui.agent.exec_ends import StreamEnd
from tui.agent.exec_pump import SEGMENT
from tui.agent.files import READ_PIECE, opened
from tui.agent.held_file import HeldFile
from tui.agent.transport import Transport


class Segments:
    """Reads a stream once, in order; what was read is emptied in the guest. Whoever has made one closes it."""

    def __init__(self, transport: Transport, base: str, first: HeldFile | None = None) -> None:
        """`base` is the path of the stream's segments without their numbers; `first` is the first one if it is open."""
        self._transport = transport
        self._base = base
        self._number = 0
        self._file = first or HeldFile(transport, self._path(0))
        self._following = HeldFile(transport, self._path(1))
        self._offset = 0
        self._pending = bytearray()
        self._has_ended = False
        self._mark = b""
        self.total = 0
        """Bytes that were read so far."""
        self.is_held_open = False
        """Whether all that was written before the mark was read, and the stream has not ended."""
        self.was_lost = False
        self.was_unread = False

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
        """What was read since the last call, but for what may become the mark."""
        kept = 0 if self.is_dry else _begun(self._mark, self._pending)
        end = len(self._pending) - kept
        data = bytes(self._pending[:end])
        del self._pending[:end]
        return data

    def expect(self, mark: bytes) -> None:
        """Expect that text in the stream: what is written to it before the mark is all of what is wanted."""
        self._mark = mark

    async def fill_to_the_end(self, end: StreamEnd | None) -> None:
        """Like `fill`, for a command that is gone.

        The stream ends where its pump says so. Where another process holds it open, it counts as read to the end
        (`is_held_open`) with the mark that `expect` was given.
        """
        if self.is_dry:
            return
        if end is not None:
            self.was_lost, self.was_unread = end.was_lost, end.was_unread
            await self._read_up_to(end.segments)
        else:
            await self.fill()
        place = self._pending.find(self._mark) if self._mark else -1
        if place >= 0 and end is not None:
            self._pending = self._pending.replace(self._mark, b"")
        elif place >= 0:
            del self._pending[place:]
            self.is_held_open = True

    def give_up(self) -> None:
        """Expect nothing more: the folder is gone."""
        self._has_ended = True

    async def close(self) -> None:
        """Give back the handles that are held."""
        await every_step(self._file.close, self._following.close)

    async def _read_up_to(self, segments: int) -> None:
        """Read what an ended pump left, READ_PIECE and a segment at most: its segments do not grow any more."""
        self._has_ended = self._number >= segments
        while not self._has_ended and len(self._pending) < READ_PIECE:
            asked = SEGMENT - self._offset
            count = await self._read_here()
            is_read = count is None or count < asked or self._offset == SEGMENT
            self._has_ended = count is None or (is_read and self._number == segments - 1)
            if is_read and not self._has_ended:
                await self._go_on()

    async def _advance(self) -> bool:
        """Read on by one step; false where that was all at the moment."""
        await self._read_here()
        if not self._offset:
            # The pump leaves no segment empty.
            return False
        if self._offset < SEGMENT:
            if not await self._following.open():
                return False
            # The pump has left this segment: only now is what it holds all of it.
            await self._read_here()
        async with opened(self._transport, self._path(self._number), "w"):
            await self._go_on()
        return True

    async def _go_on(self) -> None:
        behind, self._file = self._file, self._following
        self._number += 1
        self._offset = 0
        self._following = HeldFile(self._transport, self._path(self._number + 1))
        await behind.close()

    async def _read_here(self) -> int | None:
        """Read on in this segment: how many bytes came, None where it does not exist (yet)."""
        asked = SEGMENT - self._offset
        if not asked:
            return 0
        data = await self._file.read(asked)
        if data is None:
            return None
        self._offset += len(data)
        self.total += len(data)
        self._pending += data
        return len(data)

    def _path(self, number: int) -> str:
        return f"{self._base}.{number}"


def _begun(mark: bytes, data: bytearray) -> int:
    """How many bytes at the end of `data` may be the beginning of `mark`."""
    return next((length for length in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:length])), 0)
