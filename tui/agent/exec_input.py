"""Standard input for a running command, in pieces that `exec_scripts.FEED` hands on in the guest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable

from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, MalformedReplyError
from tui.agent.files import opened
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
PIECE = 512 * 1024
"""Bytes of one piece at most."""
_READY = b"."
_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_TRIES = 3
"""Writes of a piece into an open file that may fail: an agent that is restarted forgets the file, a full disk stays."""


async def feed_pieces(transport: Transport, folder: str, pieces: AsyncIterable[bytes]) -> None:
    """Write `pieces` into the files that FEED makes in `folder`, then say that there are no more.

    Waits while FEED is FEED_AHEAD pieces behind, and repeats what got no answer, or what a frozen guest refused, for
    as long as this task is let live: whoever follows the command knows when it is over. Raises an AgentError where the
    guest can take no more, and what `pieces` raises.
    """
    number = 0
    async for data in pieces:
        for start in range(0, len(data), PIECE):
            await _write_when_there(transport, f"{folder}/i.{number}", data[start : start + PIECE])
            await _write_when_there(transport, f"{folder}/i.{number}.ok", _READY, may_be_taken=True)
            number += 1
    await _write_when_there(transport, f"{folder}/i.end", _READY)


async def _write_when_there(transport: Transport, path: str, data: bytes, *, may_be_taken: bool = False) -> None:
    """Write `data` from the file's beginning on, as often as it takes: FEED reads a piece only when its `.ok` is there.

    A file that FEED has not made yet cannot be opened, nor one that it has taken (`may_be_taken`), nor any when the
    command is over: whoever runs it ends this task then.
    """
    pause, failures = _PAUSE_S, 0
    while True:
        is_open = False
        try:
            async with opened(transport, path, "r+") as file:
                is_open = True
                await file.write(data)
                await file.flush()
        except CommandUnavailableError as error:
            _log.info("input waits: %s", error.one_line())
        except (CommandFailedError, MalformedReplyError) as error:
            if not is_open and may_be_taken:
                return
            failures += is_open
            if failures == _TRIES:
                raise
            _log.debug("input waits: %s", error.one_line())
        except AgentError as error:
            _log.info("input waits: %s", error.one_line())
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
