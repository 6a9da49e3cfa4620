"""A file in the guest whose handle is kept from one call to the next: a call for each, in place of four."""

from __future__ import annotations

from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.files import READ_PIECE, GuestFile
from tui.agent.shield import uninterrupted
from tui.agent.transport import Transport


class HeldFile:
    """Read as it grows, from its beginning on. Whoever has made one closes it.

    A handle that the agent has forgotten, since it was restarted, is opened anew where the last read ended. A read
    whose answer was lost may have moved the handle on in the guest: the next one goes back to where the last answer
    ended.
    """

    def __init__(self, transport: Transport, path: str, *, mode: str = "r") -> None:
        self.path = path
        self._transport = transport
        self._mode = mode
        self._file: GuestFile | None = None
        self._offset = 0
        self._may_stand_elsewhere = False

    @property
    def number(self) -> int:
        """The agent's number for the open file."""
        return self._open_file.handle

    @property
    def is_current(self) -> bool:
        """Whether it is open, and the agent has not begun anew since."""
        return self._file is not None and self._file.is_of_this_life

    def let_be(self) -> None:
        """Forget the handle and leave it open: it may be somebody else's by now."""
        self._file = None

    @property
    def _open_file(self) -> GuestFile:
        if self._file is None:
            raise RuntimeError("the file is not open")
        return self._file

    async def open(self) -> bool:
        """Open the file unless it is open; false where that cannot be done (yet)."""
        if self._file is not None:
            return True
        file = GuestFile(self._transport, self.path)
        try:
            await uninterrupted(self._take(file))
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            return False
        return True

    async def _take(self, file: GuestFile) -> None:
        await file.open(self._mode)
        self._file = file
        self._may_stand_elsewhere = self._offset > 0

    async def read(self, limit: int = READ_PIECE) -> bytes | None:
        """What is there now behind the last read, `limit` bytes at most; None where there is no such file (yet)."""
        was_open = self._file is not None
        if not await self.open() or self._file is None:
            return None
        try:
            if self._may_stand_elsewhere:
                await self._file.seek(self._offset)
            self._may_stand_elsewhere = True
            data = await self._file.read(limit)
            self._may_stand_elsewhere = False
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            self._file = None
            return await self.read(limit) if was_open else None
        self._offset += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Write all of `data`; it may wait in the agent until it is flushed, or the file closed."""
        await self._open_file.write(data)

    async def flush(self) -> None:
        """Hand what was written to the guest's kernel; once more does no harm."""
        await self._open_file.flush()

    async def close(self) -> None:
        """Give the handle back, if there is one."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            await uninterrupted(file.close())
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            # An agent that was restarted has given it back already.
            return
