"""Files in the guest, read and written in pieces that every line carries, no handle left behind.

Handles survive clients and pin deleted files until the agent restarts, so each is closed whatever happens.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum

from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.protocol import Fields, Json, call, integer, malformed
from tui.agent.shield import uninterrupted
from tui.agent.transport import Transport, agent_life

FILE_TIMEOUT_S = 10
READ_PIECE = 1024 * 1024
"""Bytes asked for in one read: its base64 stays far below libvirt's 4 MiB."""
WRITE_PIECE = 128 * 1024
"""Bytes sent in one write: libvirt 9.0 never answers one of 180,000."""


class Whence(IntEnum):
    """What a seek counts from (QGASeek)."""

    START = 0
    CURRENT = 1
    END = 2


class GuestFile:
    """An open file in the guest; made by `opened`."""

    def __init__(self, transport: Transport, path: str, timeout_s: int = FILE_TIMEOUT_S) -> None:
        self.path = path
        self._transport = transport
        self._timeout_s = timeout_s
        self._handle: int | None = None
        self._life = 0

    @property
    def handle(self) -> int:
        """The agent's number for it."""
        if self._handle is None:
            raise RuntimeError("the file is not open")
        return self._handle

    async def open(self, mode: str) -> None:
        """Open in a C mode: r, w or a, each with + and b."""
        command, life = "guest-file-open", agent_life(self._transport)
        reply = await call(self._transport, command, {"path": self.path, "mode": mode}, timeout_s=self._timeout_s)
        self._handle, self._life = integer(reply, command), life

    @property
    def is_of_this_life(self) -> bool:
        """Whether the handle is the agent's still: it, or its guest, has not begun anew since the file was opened."""
        return self._life == agent_life(self._transport)

    async def read(self, limit: int = READ_PIECE) -> bytes:
        """At most `limit` bytes (READ_PIECE at most) from where the file stands; empty at its present end.

        The `eof` of the reply is not passed on: a file that is being written goes on after it.
        """
        asked = min(limit, READ_PIECE)
        reply = await self._call("guest-file-read", count=asked)
        data = reply.data("buf-b64")
        if len(data) != reply.integer("count") or len(data) > asked:
            malformed("guest-file-read", f"{len(data)} bytes came, {asked} were asked for", "")
        return data

    async def write(self, data: bytes) -> None:
        """Write all of `data`, in pieces."""
        rest = memoryview(data)
        while rest:
            piece = base64.b64encode(rest[:WRITE_PIECE]).decode("ascii")
            written = (await self._call("guest-file-write", **{"buf-b64": piece})).integer("count")
            if not 0 < written <= min(len(rest), WRITE_PIECE):
                malformed("guest-file-write", f"{written} bytes were written of {min(len(rest), WRITE_PIECE)}", "")
            rest = rest[written:]

    async def seek(self, offset: int, whence: Whence = Whence.START) -> int:
        """Move to `offset` bytes from `whence` and return the position from the start."""
        reply = await self._call("guest-file-seek", offset=offset, whence=int(whence))
        return reply.integer("position")

    async def flush(self) -> None:
        """Hand buffered writes to the guest's kernel."""
        await self._send("guest-file-flush")

    async def close(self) -> None:
        """Give the handle back, if there is one."""
        if self._handle is not None and self.is_of_this_life:
            await self._send("guest-file-close")
        self._handle = None

    async def _call(self, command: str, **arguments: int | str) -> Fields:
        return Fields(await self._send(command, **arguments), command)

    async def _send(self, command: str, **arguments: int | str) -> Json:
        if not self.is_of_this_life:
            raise CommandFailedError("The file is not open any more", cause="the agent or its guest began anew")
        arguments_with_handle: dict[str, Json] = {"handle": self._handle, **arguments}
        return await call(self._transport, command, arguments_with_handle, timeout_s=self._timeout_s)


@asynccontextmanager
async def opened(
    transport: Transport, path: str, mode: str, timeout_s: int = FILE_TIMEOUT_S
) -> AsyncIterator[GuestFile]:
    """A file in the guest, closed at the end of the block, also when the block or the opening is cancelled.

    `timeout_s` bounds each call, in seconds. Raises `CommandFailedError` with the guest's own words.
    """
    file = GuestFile(transport, path, timeout_s)
    try:
        await uninterrupted(file.open(mode))
        yield file
    finally:
        await uninterrupted(file.close())


async def read_chunk(transport: Transport, path: str, offset: int, limit: int = READ_PIECE) -> bytes:
    """At most `limit` bytes (READ_PIECE at most) at `offset`: open, seek, read and close in one burst."""
    async with opened(transport, path, "r") as file:
        if offset:
            await file.seek(offset)
        return await file.read(limit)


async def write_file(transport: Transport, path: str, data: bytes) -> None:
    """Replace the contents of `path`. A new file is open to everybody (0666): create private ones first."""
    async with opened(transport, path, "w") as file:
        await file.write(data)
        await file.flush()


async def position_of(transport: Transport, handle: int) -> int | None:
    """Where an open handle stands, in bytes from the start, leaving it there; None where it is not open."""
    arguments: dict[str, Json] = {"handle": handle, "offset": 0, "whence": int(Whence.CURRENT)}
    try:
        reply = await call(transport, "guest-file-seek", arguments, timeout_s=FILE_TIMEOUT_S)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return None
    return Fields(reply, "guest-file-seek").integer("position")


async def flush_handle(transport: Transport, handle: int) -> None:
    """Bring the guest's kernel to where a handle stands."""
    try:
        await call(transport, "guest-file-flush", {"handle": handle}, timeout_s=FILE_TIMEOUT_S)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        # A handle that was closed meanwhile stands nowhere.
        return


async def close_handle(transport: Transport, handle: int) -> bool:
    """Close a handle that a dead client left open; false where it is closed already."""
    try:
        await call(transport, "guest-file-close", {"handle": handle}, timeout_s=FILE_TIMEOUT_S)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return False
    return True
