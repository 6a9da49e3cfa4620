"""A guest agent's line over a unix socket of its own, without libvirt; for tests."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

from tui.agent.errors import NotConnectedError, UnansweredError

LINE_LIMIT = 96 * 1024 * 1024


class RawSocket:
    """One client at a time speaks to an agent: the line is synchronised anew before each command."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids = itertools.count(1)
        self._turn = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.sent: list[str] = []

    async def send(self, request: str, timeout_s: int) -> str:
        async with self._turn:
            self.sent.append(request)
            try:
                return await asyncio.wait_for(self._exchange(request), timeout_s)
            except TimeoutError:
                await self.close()
                raise UnansweredError("The guest agent gave no answer", cause=f"{timeout_s} s passed") from None
            except (OSError, asyncio.IncompleteReadError) as error:
                await self.close()
                raise NotConnectedError("The guest agent is not connected", original=str(error)) from error
            except asyncio.CancelledError:
                await self.close()
                raise

    async def _exchange(self, request: str) -> str:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=LINE_LIMIT)
        reader, writer = self._reader, self._writer
        assert reader is not None
        number = next(self._ids)
        sync = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        writer.write(b"\xff" + json.dumps(sync).encode() + b"\n")
        while True:
            await reader.readuntil(b"\xff")
            line = await reader.readline()
            if json.loads(line.rpartition(b"\xff")[2]).get("return") == number:
                break
        writer.write(request.encode() + b"\n")
        await writer.drain()
        reply = await reader.readuntil(b"\n")
        return reply.decode()

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass
