"""Programs that serve this process, and end with it, however that ends."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

_MOST_SAID = 4096
"""Bytes of what an ended program said that are kept."""


class NotServingError(Exception):
    """A program does not serve: its words, empty where it says nothing and lives on."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


async def start_tied(*argv: str, signal: str) -> asyncio.subprocess.Process:
    """Start a program that gets `signal` (TERM, KILL) when this process dies; raises OSError."""
    tied = ("setpriv", "--pdeathsig", signal) if shutil.which("setpriv") else ()
    return await asyncio.create_subprocess_exec(
        *tied,
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def until_it_serves(
    process: asyncio.subprocess.Process, serves: Callable[[], Awaitable[bool]], *, within_s: float, poll_s: float
) -> None:
    """Look again and again, for nothing tells of it; raises NotServingError, and whatever `serves` raises."""
    try:
        async with asyncio.timeout(within_s):
            while not await serves():
                if process.returncode is not None:
                    raise NotServingError(await _last_words(process))
                await asyncio.sleep(poll_s)
    except TimeoutError as error:
        raise NotServingError("") from error


async def _last_words(process: asyncio.subprocess.Process) -> str:
    said = b""
    while process.stderr is not None and len(said) < _MOST_SAID and (piece := await process.stderr.read(_MOST_SAID)):
        said += piece
    return said.decode("utf-8", "replace").strip()
