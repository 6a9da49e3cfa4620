"""Programs of this machine that we start, listen to, and end when nobody wants to hear more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PIECE = 64 * 1024
_COMPLAINTS_LIMIT = 64 * 1024
LETTING_GO_S = 2.0
"""Seconds in which a killed program has to be gone; one that hangs in the kernel is left behind."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program that runs, and the task that hears its standard error."""

    process: asyncio.subprocess.Process
    hearing: asyncio.Task[bytes]

    @property
    def output(self) -> asyncio.StreamReader:
        """Its standard output, of a program that was started with `hears`."""
        if self.process.stdout is None:
            raise RuntimeError("nobody hears this program's output")
        return self.process.stdout

    async def complaints(self) -> bytes:
        """The beginning of its standard error, once that has ended."""
        return await asyncio.shield(self.hearing)

    async def let_go(self, within_s: float | None = LETTING_GO_S) -> None:
        """End it unless it has ended, and wait for that: for `within_s` seconds at most, None for as long as it takes.

        What it said and nobody read is read and dropped: for asyncio a program runs until its pipes have ended
        (BaseSubprocessTransport._try_finish), and a pipe that nobody reads never does.
        """
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await asyncio.gather(kept(self.process.stdout, 0), self.complaints())
                await self.process.wait()
        self.hearing.cancel()


async def start(
    *argv: str,
    hears: bool = True,
    complaints_limit: int = _COMPLAINTS_LIMIT,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> Child:
    """Start a program in a session of its own, without input; raises OSError. To be let go by whoever started it.

    Its output is there to be read where `hears`, and goes nowhere else. `complaints_limit` is in bytes.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if hears else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        pass_fds=pass_fds,
        cwd=cwd,
        start_new_session=True,
    )
    return Child(process, asyncio.create_task(kept(process.stderr, complaints_limit)))


@asynccontextmanager
async def running(
    *argv: str,
    complaints_limit: int = _COMPLAINTS_LIMIT,
    gone_within_s: float | None = LETTING_GO_S,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> AsyncIterator[Child]:
    """A program that is let go with its context, for instance when whoever waits for it gives up; raises OSError.

    `gone_within_s` is the `within_s` of `Child.let_go`.
    """
    child = await start(*argv, complaints_limit=complaints_limit, env=env, pass_fds=pass_fds, cwd=cwd)
    try:
        yield child
    finally:
        await child.let_go(gone_within_s)


async def kept(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    """The first `limit` bytes of a stream that is read to its end: a program that is not heard out would wait."""
    beginning = bytearray()
    while stream is not None and (piece := await stream.read(_PIECE)):
        beginning += piece[: limit - len(beginning)]
    return bytes(beginning)
