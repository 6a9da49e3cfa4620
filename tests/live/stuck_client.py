"""A client to be killed: runs a command line in a guest, prints its pid and reads nothing of what it writes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from tests.live.killed_client import killed_client
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecPace, ExecRequest, Started
from tui.hosts.libvirt_host import LibvirtHost


@asynccontextmanager
async def stuck_client(uri: str, guest: str, text: str, unread_s: float) -> AsyncIterator[int]:
    """A process that runs `text`, by the command's pid; killed without warning at the end of the body.

    In the guest, output that nobody reads for `unread_s` seconds is taken for abandoned.
    """
    async with killed_client("tests.live.stuck_client", uri, guest, text, str(unread_s)) as pid:
        yield pid


async def main(uri: str, guest: str, text: str, unread_s: str) -> None:
    host = LibvirtHost(uri, "stuck")
    await host.open()
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == guest)
    pace = ExecPace(unread=float(unread_s))
    async with aclosing(run(host.work_line(uuid), ExecRequest(CommandLine(text)), pace=pace)) as events:
        async for event in events:
            assert isinstance(event, Started)
            print(event.pid, flush=True)
            await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
