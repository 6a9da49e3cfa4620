"""What a user types to a command that runs, on its way to the command's standard input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class TypedInput:
    """Takes texts until it is ended, and yields their bytes in UTF-8 to one reader."""

    def __init__(self) -> None:
        self._typed: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, text: str | None) -> None:
        """Take a text; None ends the input."""
        self._typed.put_nowait(None if text is None else text.encode("utf-8", "replace"))

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of each text as it comes."""
        while (piece := await self._typed.get()) is not None:
            yield piece
