"""Standard input for a running command, in pieces that `exec_scripts.FEED` hands on in the guest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.files import GuestFile, opened
from tui.agent.transport import Transport

PIECE = 512 * 1024
"""Bytes of one piece at most."""
_READY = b"."
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


async def feed_pieces(transport: Transport, folder: str, pieces: AsyncIterable[bytes]) -> None:
    """Write `pieces` into the files that FEED makes in `folder`, then say that there are no more.

    Waits while FEED is FEED_AHEAD pieces behind. Raises what the agent's file commands raise; a folder that is gone
    shows as `CommandFailedError`.
    """
    number = 0
    async for data in pieces:
        for start in range(0, len(data), PIECE):
            await _write_when_there(transport, folder, f"i.{number}", data[start : start + PIECE])
            await _write_when_there(transport, folder, f"i.{number}.ok", _READY)
            number += 1
    await _write_when_there(transport, folder, "i.end", _READY)


async def _write_when_there(transport: Transport, folder: str, name: str, data: bytes) -> None:
    pause = _PAUSE_S
    while True:
        try:
            async with opened(transport, f"{folder}/{name}", "r+") as file:
                await _write(file, data)
                return
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            # FEED has not come so far yet, or the command is over: whoever runs it ends this task then.
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)


async def _write(file: GuestFile, data: bytes) -> None:
    await file.write(data)
    await file.flush()
