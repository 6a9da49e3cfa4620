"""Waiting for a copying thread while somebody looks at how it goes, and ending it when there is a reason to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from time import monotonic
from typing import TypeVar

from tui.backup.errors import BackupError
from tui.backup.meter import Meter
from tui.backup.target import out_of_patience, silent_words

T = TypeVar("T")

TICK_S = 0.5
FULL_WORDS = "the target is full: make room and it goes on, or cancel"
LETTING_GO_S = 30
"""Seconds in which a stopped copy has to end; a thread that hangs in the kernel is left behind, and sooner."""

Look = Callable[[str], Awaitable[BackupError | None]]
"""Takes what the copy waits for, empty where it does not; tells how far it is, and returns why it has to end."""


async def watched(
    work: Coroutine[None, None, T],
    meter: Meter,
    look: Look,
    target: Path,
    room_s: float,
    silent_s: float = float("inf"),
) -> T:
    """The result of `work`, which counts in `meter` and stops when that says so.

    `target` is the folder that may be full for at most `room_s` seconds at a time, and owe an answer for `silent_s`.
    Raises what `look` returned, and what `work` raised.
    """
    full_since: float | None = None
    task = asyncio.create_task(work)
    while not task.done():
        full_since = (full_since or monotonic()) if meter.full else None
        owed_since = meter.debt.since
        trouble = (
            await look(FULL_WORDS if meter.full else _silence(meter))
            or _full_for_too_long(full_since, target, room_s)
            or (out_of_patience(target, owed_since, silent_s) if owed_since is not None and not meter.full else None)
        )
        if trouble is not None:
            meter.stop.set()
            await _let_go(task, meter)
            raise trouble
        await asyncio.wait({task}, timeout=TICK_S)
    return task.result()


async def _let_go(task: asyncio.Task[T], meter: Meter) -> None:
    """Wait until stopped work has ended, for as long as it may; then leave it behind."""
    end = monotonic() + LETTING_GO_S
    while not task.done() and monotonic() < end and not _silence(meter):
        await asyncio.wait({task}, timeout=TICK_S)
    if not task.cancel():
        # It ended as it was told to; its own words add nothing.
        task.exception()


def _silence(meter: Meter) -> str:
    """What to tell of a target that does not answer; of a full one, that it is full."""
    owed_since = meter.debt.since
    return "" if owed_since is None or meter.full else silent_words(owed_since)


def _full_for_too_long(full_since: float | None, target: Path, room_s: float) -> BackupError | None:
    if full_since is None or monotonic() - full_since < room_s:
        return None
    return BackupError(
        "The target is full",
        cause=f"{target} had no room for {room_s:.0f} s",
        next_step="Make room there, or choose another folder, and try again.",
    )
