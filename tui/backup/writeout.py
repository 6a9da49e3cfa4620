"""Having the guest write its unwritten data to its disks before the freeze, so that the freeze has little to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from tui.agent.commands import exec_start, exec_status
from tui.agent.transport import Transport
from tui.backup.errors import BackupError, CancelledBackupError

PROGRAM = "sync"
ENOUGH_S = 0.5
"""A write-out of fewer seconds left little to the freeze; after a longer one the guest has written more by now."""
ROUNDS = 3
POLL_FIRST_S, POLL_LAST_S = 0.02, 0.5

Tell = Callable[[str], None]
"""Hears what the run waits for."""


class NotWrittenOutError(BackupError):
    """The guest did not write its data out in time; nothing is lost, only the freeze will take longer."""


async def write_out(line: Transport, deadline_s: float, stop: asyncio.Event, tell: Tell) -> None:
    """Run `sync` in the guest until that is quick, or for `deadline_s` seconds.

    Raises AgentError where the guest has no such program or its agent runs none, NotWrittenOutError, and
    CancelledBackupError once `stop` is set.
    """
    began = monotonic()
    for _ in range(ROUNDS):
        round_began = monotonic()
        pid = await exec_start(line, PROGRAM, capture=False)
        await _ended(line, pid, began, deadline_s, stop, tell)
        if monotonic() - round_began < ENOUGH_S:
            return


async def _ended(line: Transport, pid: int, began: float, deadline_s: float, stop: asyncio.Event, tell: Tell) -> None:
    pause = POLL_FIRST_S
    while not (await exec_status(line, pid)).exited:
        if stop.is_set():
            raise CancelledBackupError("The backup was cancelled")
        waited = monotonic() - began
        if waited >= deadline_s:
            raise NotWrittenOutError("The guest did not write its data out in time", cause=f"{waited:.0f} s were over")
        if waited >= 1:
            tell(f"the guest writes out what it holds in memory, {waited:.0f} s of at most {deadline_s:.0f} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, POLL_LAST_S)
