"""Standard input for commands in guests: as it comes for one, kept in a file for many."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from typing import IO

from tui import settings
from tui.hosts.lanes import apart

PIECE = 256 * 1024


async def standard_input() -> AsyncIterator[bytes]:
    """Our standard input in pieces, read on a daemon thread that no exit waits for."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=2)

    def read() -> None:
        try:
            while True:
                piece = os.read(sys.stdin.fileno(), PIECE)
                asyncio.run_coroutine_threadsafe(pieces.put(piece), loop).result()
                if not piece:
                    return
        except (OSError, RuntimeError):
            # The terminal or the program has gone: nobody reads any more.
            return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while piece := await pieces.get():
        yield piece


class KeptInput:
    """Input that several commands read, each from its beginning: in a file without a name, private to this process."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @classmethod
    async def of(cls, pieces: AsyncIterator[bytes]) -> KeptInput:
        """All that comes, to its end. Raises OSError where there is no room for it."""
        kept = cls(_unnamed_file())
        async for piece in pieces:
            await apart(kept._file.write, piece)
        await apart(kept._file.flush)
        return kept

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """It all, from the beginning."""
        offset = 0
        while piece := await apart(os.pread, self._file.fileno(), PIECE, offset):
            offset += len(piece)
            yield piece


def _unnamed_file() -> IO[bytes]:
    """A file that is open to this process alone, and gone with it."""
    return tempfile.TemporaryFile(dir=settings.private_folder(settings.state_folder()))
