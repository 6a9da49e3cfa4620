"""Whether a program that we started still moves anything: what the kernel counts for it tells, a hung target or not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

from tui.backup.meter import Meter

T = TypeVar("T")

BEAT_S = 1.0


async def with_heartbeat(work: Coroutine[None, None, T], meter: Meter, slack_s: float = 0) -> T:
    """The result of `work`, for which programs of ours run; the target owes `meter` an answer while they stand still.

    They may rest for `slack_s` seconds without a reason. Where the kernel does not tell, nothing is said of them.
    """
    task = asyncio.create_task(work)
    before: int | None = None
    try:
        while not task.done():
            now = heartbeat()
            if now is None or now != before:
                before = now
                meter.owe(slack_s if now is not None else None)
            await asyncio.wait({task}, timeout=BEAT_S)
        return task.result()
    finally:
        task.cancel()
        meter.owe(None)


def heartbeat() -> int | None:
    """A number that changes while children of this process move bytes or use a processor; None where none can be seen.

    proc(5): bytes read and written by any call (io), ticks in user and kernel mode (fields 14 and 15 of stat).
    """
    pid, total = os.getpid(), 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        for child in children:
            counts = dict(line.split(": ") for line in Path(f"/proc/{child}/io").read_text("ascii").splitlines())
            fields = Path(f"/proc/{child}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            total += int(counts["rchar"]) + int(counts["wchar"]) + int(fields[11]) + int(fields[12])
    except (OSError, ValueError, KeyError):
        return None
    return total if children else None
