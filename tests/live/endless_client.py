"""A client to be killed: runs a command line through a `relay` and prints the command's pid first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from tests.live.host_agent import HostAgent
from tests.live.killed_client import killed_client
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecRequest, Started
from tui.agent.transport import Transport

LINE_LIMIT = 8 * 1024 * 1024


class RelayedLine:
    """Speaks through a relay, which outlives it as libvirtd outlives its clients."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = asyncio.Lock()

    async def send(self, request: str, timeout_s: int) -> str:
        async with self._turn:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
            writer.write(request.encode() + b"\n")
            reply = await reader.readline()
            writer.close()
            return reply.decode()


@asynccontextmanager
async def relay(line: Transport, path: Path) -> AsyncIterator[str]:
    """A socket that hands each request on; one that was begun is carried out, whoever left meanwhile."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readline()
        if request:
            writer.write((await line.send(request.decode(), 10)).strip().encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(serve, str(path), limit=LINE_LIMIT)
    try:
        yield str(path)
    finally:
        server.close()


@asynccontextmanager
async def endless_client(agent: HostAgent, text: str) -> AsyncIterator[int]:
    """A process that runs a command line, by the command's pid; killed without warning at the end of the body."""
    async with (
        relay(agent.line, agent.folder / "relay") as path,
        killed_client("tests.live.endless_client", path, text) as pid,
    ):
        yield pid
    (agent.folder / "relay").unlink()


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.get_running_loop().create_future()
    yield b""


async def main(path: str, text: str) -> None:
    stdin = _silence() if "cat" in text else None
    async with aclosing(run(RelayedLine(path), ExecRequest(CommandLine(text)), stdin=stdin)) as events:
        async for event in events:
            if isinstance(event, Started):
                print(event.pid, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
