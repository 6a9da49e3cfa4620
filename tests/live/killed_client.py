"""A process of ours that runs a command in a guest, to be killed without warning."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent


@asynccontextmanager
async def killed_client(module: str, *words: str) -> AsyncIterator[int]:
    """Run a module of ours that prints the pid of the command it runs; yields that, and kills the process then."""
    argv = [sys.executable, "-m", module, *words]
    client = await asyncio.create_subprocess_exec(*argv, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE)
    assert client.stdout is not None
    try:
        yield int(await client.stdout.readline())
    finally:
        client.kill()
        await client.wait()
