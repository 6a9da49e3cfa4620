"""The worker's control socket: orders while it runs, one line each, answered by `ok` or by what was wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tui.backup.errors import BackupError
from tui.backup.meter import Throttle
from tui.backup.runs import AnyRun, tell_cancelling
from tui.settings import PRIVATE_FILE

SOCKET = "control"
LINE_LIMIT = 256
ANSWER_S = 5.0
CANCEL = "cancel"
_OK = "ok"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a running backup obeys: the order to stop, the rate of its copy, and the order to pause the guest for the
    rest of a merge that does not gain on it."""

    stop: asyncio.Event
    throttle: Throttle
    settle: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def listening(run: AnyRun, orders: Orders) -> AsyncIterator[None]:
    """Take orders for `run` while the body runs; a socket that cannot be made is no reason not to back up."""
    folder = os.open(run.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    path = run.folder / SOCKET
    server: asyncio.Server | None = None
    try:
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(_Desk(orders).serve, _short(folder), limit=LINE_LIMIT)
        path.chmod(PRIVATE_FILE)
    except OSError:
        server = None
    try:
        yield
    finally:
        if server is not None:
            server.close()
            path.unlink(missing_ok=True)
        os.close(folder)


async def order(run: AnyRun, line: str) -> None:
    """Give an order to the worker of `run`: `cancel`, `settle`, or `limit BYTES_PER_SECOND`. Raises BackupError."""
    folder = os.open(run.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(_short(folder), limit=LINE_LIMIT)
            writer.write(f"{line}\n".encode())
            answer = (await reader.readline()).decode("utf-8", "replace").strip()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        raise BackupError(
            "The backup's process does not listen", cause=str(error), next_step="It may have ended: qga-tui jobs"
        ) from error
    finally:
        os.close(folder)
    if answer != _OK:
        raise BackupError("The backup's process refused the order", cause=answer)
    if line == CANCEL:
        tell_cancelling(run)


def _short(folder: int) -> str:
    """A path to the socket below the 108 bytes of sun_path, however deep the folder lies."""
    return f"/proc/self/fd/{folder}/{SOCKET}"


class _Desk:
    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self._obey((await reader.readline()).decode("utf-8", "replace").split())
        except (ValueError, OSError) as error:
            answer = f"error: {error}"
        writer.write(f"{answer}\n".encode())
        try:
            await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    def _obey(self, words: list[str]) -> str:
        match words:
            case [word] if word == CANCEL:
                self._orders.stop.set()
            case ["settle"]:
                self._orders.settle.set()
            case ["limit", rate] if rate.isascii() and rate.isdecimal():
                self._orders.throttle.set(int(rate))
            case _:
                return "error: not an order"
        return _OK
