"""Programs that serve this process, and end with it, however that ends."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

from tui.hosts.children import Child, start

_MOST_SAID = 4096
"""Bytes of what an ended program said that are kept."""


class NotServingError(Exception):
    """A program does not serve: its words, empty where it says nothing and lives on."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


async def start_tied(*argv: str, signal: str) -> Child:
    """Start a program that gets `signal` (TERM, KILL) when this process dies; raises OSError."""
    tied = ("setpriv", "--pdeathsig", signal) if shutil.which("setpriv") else ()
    return await start(*tied, *argv, hears=False, complaints_limit=_MOST_SAID)


async def until_it_serves(
    server: Child, serves: Callable[[], Awaitable[bool]], *, within_s: float, poll_s: float
) -> None:
    """Look again and again, for nothing tells of it; raises NotServingError, and whatever `serves` raises."""
    try:
        async with asyncio.timeout(within_s):
            while not await serves():
                if server.process.returncode is not None:
                    raise NotServingError((await server.complaints()).decode("utf-8", "replace").strip())
                await asyncio.sleep(poll_s)
    except TimeoutError as error:
        raise NotServingError("") from error
