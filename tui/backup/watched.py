"""Waiting for a copying thread while somebody looks at how it goes, and ending it when there is a reason to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from time import monotonic
from typing import TypeVar

from tui.backup.errors import BackupError
from tui.backup.meter import Meter

T = TypeVar("T")

TICK_S = 0.5
FULL_WORDS = "the target is full: make room and it goes on, or cancel"
LETTING_GO_S = 30
"""Seconds in which a stopped copy has to end; a thread that hangs in the kernel is left behind."""

Look = Callable[[str], Awaitable[BackupError | None]]
"""Takes what the copy waits for, empty where it does not; tells how far it is, and returns why it has to end."""


async def watched(work: Coroutine[None, None, T], meter: Meter, look: Look, target: Path, room_s: float) -> T:
    """The result of `work`, which counts in `meter` and stops when that says so.

    `target` is the folder that may be full, for at most `room_s` seconds at a time. Raises what `look` returned, and
    what `work` raised.
    """
    full_since: float | None = None
    task = asyncio.create_task(work)
    while not task.done():
        full_since = (full_since or monotonic()) if meter.full else None
        trouble = await look(FULL_WORDS if meter.full else "") or _out_of_patience(full_since, target, room_s)
        if trouble is not None:
            meter.stop.set()
            await asyncio.wait({task}, timeout=LETTING_GO_S)
            if not task.cancel():
                # It ended as it was told to; its own words add nothing.
                task.exception()
            raise trouble
        await asyncio.wait({task}, timeout=TICK_S)
    return task.result()


def _out_of_patience(full_since: float | None, target: Path, room_s: float) -> BackupError | None:
    if full_since is None or monotonic() - full_since < room_s:
        return None
    return BackupError(
        "The target is full",
        cause=f"{target} had no room for {room_s:.0f} s",
        next_step="Make room there, or choose another folder, and try again.",
    )
