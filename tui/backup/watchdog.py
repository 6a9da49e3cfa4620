"""A process of its own that thaws the guest when the backup's process dies or takes too long.

It obeys lines on its standard input: `freezing SECONDS` starts the deadline, `thawed` ends it. The end of its input
is the death of the process at the other end. It says `armed` once its own connection stands.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from tui.backup.errors import BackupError
from tui.backup.own_scope import scope_words
from tui.backup.quiesce import thaw_once, until_thawed
from tui.backup.runs import LOG, Run, open_run
from tui.backup.session import Connect, HostSession, Patience
from tui.hosts.lanes import apart
from tui.settings import PRIVATE_FILE

P = TypeVar("P")

ARMING_S = 20
DISMISSAL_S = 10
LIMIT_S = 900
"""Seconds after which the watchdog gives a guest up that cannot be thawed."""
_ARMED, _THAWED, _FREEZING = "armed", "thawed", "freezing"


class Watchdog:
    """The worker's end of the watchdog."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, argv: Sequence[str], run: Run) -> Watchdog:
        """Start the process and wait until it is armed; raises BackupError."""
        around = await apart(scope_words)
        log = os.open(run.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        try:
            process = await asyncio.create_subprocess_exec(
                *around,
                *argv,
                str(run.folder),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        dog = cls(process)
        try:
            async with asyncio.timeout(ARMING_S):
                line = await _pipe(process.stdout).readline()
        except TimeoutError:
            line = b""
        if line.decode("ascii", "replace").strip() != _ARMED:
            await dog.dismiss()
            raise BackupError("The thaw watchdog did not start", next_step=f"Its words are in {run.folder / LOG}.")
        return dog

    def freezing(self, deadline_s: float) -> None:
        """Start the deadline; comes before the freeze."""
        self._say(f"{_FREEZING} {deadline_s}")

    async def dismiss(self) -> None:
        """Tell that the guest is thawed, and wait a little for the process to end."""
        self._say(_THAWED)
        try:
            async with asyncio.timeout(DISMISSAL_S):
                await self._process.wait()
        except TimeoutError:
            # It ends by itself as soon as its own thaw is answered.
            return

    async def ended(self) -> int:
        """The process's exit code, once it has ended."""
        return await self._process.wait()

    def vanish(self) -> None:
        """Close the watchdog's input, as this process's death would."""
        _pipe(self._process.stdin).close()

    def _say(self, line: str) -> None:
        try:
            _pipe(self._process.stdin).write(f"{line}\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            # It is gone already; the worker's own thaw does not depend on it.
            return


def _pipe(stream: P | None) -> P:
    if stream is None:
        raise AssertionError("the pipe was asked for at the start")
    return stream


async def run_watchdog(run_folder: Path, connect: Connect) -> int:
    """The process's main: returns the exit code, 0 unless a guest may still be frozen. Raises BackupError."""
    for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # Whatever ends the worker and its terminal must not end the one who thaws for it.
        signal.signal(name, signal.SIG_IGN)
    plan = open_run(run_folder).plan
    session = HostSession(connect, plan.uri, Patience(reconnect_s=0))
    await session.open()
    orders = await _orders()
    print(_ARMED, flush=True)  # noqa: T201 - the worker waits for this line
    try:
        order = (await orders.readline()).decode("ascii", "replace").split()
        if order[:1] != [_FREEZING]:
            return 0
        if await _told_thawed(orders, float(order[1])):
            return 0
        _log("thawing, for the backup's process died or took too long")
        uuid = plan.uuid
        thawed = await until_thawed(
            lambda: session.ask(lambda host: thaw_once(host.work_line(uuid))), LIMIT_S, lambda e: _log(e.one_line())
        )
        _log("the guest was thawed" if thawed else "the guest may still be frozen")
        return 0 if thawed else 1
    finally:
        await session.close()


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _told_thawed(orders: asyncio.StreamReader, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return (await orders.readline()).decode("ascii", "replace").strip() == _THAWED
    except TimeoutError:
        return False


def _log(text: str) -> None:
    print(f"watchdog: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the run's log
