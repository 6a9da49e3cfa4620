"""Thawing a guest until it is proven to be thawed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from tui.agent.commands import FreezeStatus, fsfreeze_status, fsfreeze_thaw
from tui.agent.errors import CommandFailedError
from tui.agent.transport import Transport
from tui.model.errors import ExplainedError

THAW_S = 10
"""Seconds for one try of a thaw; tries are repeated."""
PAUSE_S = 0.5


async def is_frozen(line: Transport) -> bool:
    """Whether the agent holds the guest frozen; raises AgentError."""
    return await fsfreeze_status(line) is not FreezeStatus.THAWED


async def thaw_once(line: Transport) -> bool:
    """Thaw, whatever the state; True when the agent's status then says thawed. Raises AgentError."""
    try:
        await fsfreeze_thaw(line, THAW_S)
    except CommandFailedError:
        # A guest that is not frozen needs no thaw, and one that is will say so.
        return not await is_frozen(line)
    return not await is_frozen(line)


async def until_thawed(
    thaw_now: Callable[[], Awaitable[bool]], patience_s: float, note: Callable[[ExplainedError], None]
) -> bool:
    """Repeat `thaw_now` until it says True, at least once and for about `patience_s` seconds; `note` hears new errors.

    One try is not enough: while a freeze hook runs in the guest no thaw gets through. An answered thaw proves that
    no freeze is still to come, for the agent works on one command after the other.
    """
    end = monotonic() + patience_s
    noted = ""
    while True:
        try:
            if await thaw_now():
                return True
        except ExplainedError as error:
            if error.one_line() != noted:
                noted = error.one_line()
                note(error)
        if monotonic() >= end:
            return False
        await asyncio.sleep(PAUSE_S)
