"""The files of a run in a real guest: private whatever the agent's umask, and gone when nobody will ever read them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest_asyncio

from tests.live.console_kills import Remains, remains
from tests.live.stuck_client import stuck_client
from tests.live.watched import PATIENCE_S
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecRequest, Output
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.console.local_file import PIECE, pieces_of
from tui.console.session import Session
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory

NOTHING = Remains(folders=0, handles=0, processes=0)
DEFAULTS = "/etc/default/qemu-guest-agent"
FOLDER = "/tmp/qga-tui.*"
MODES = f"stat -c '%a %F' {FOLDER}; find {FOLDER} -mindepth 1 -exec stat -c '%a %F' {{}} +"
UNREAD_S = 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def line(lab: Laboratory, web1: str) -> AsyncIterator[Transport]:
    """A line to the guest, whose agent runs with a umask that forbids nothing."""
    await _restarted(lab, web1, f"mkdir -p /etc/default && echo umask 0 >{DEFAULTS}")
    host = LibvirtHost(lab.uri, "lab")
    await host.open()
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == web1)
    yield host.work_line(uuid)
    await host.close()
    await _restarted(lab, web1, f"rm {DEFAULTS}")


async def _restarted(lab: Laboratory, guest: str, change: str) -> None:
    assert (await lab.shell(guest, f"{change} && systemctl restart qemu-guest-agent")).code == 0
    await lab.wait_for_agent(guest)


async def until_shell(lab: Laboratory, guest: str, command: str) -> None:
    """Ask the guest's own shell until `command` succeeds: nothing there would tell us."""
    while (await lab.shell(guest, command)).code != 0:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def test_files_of_a_streaming_command_are_private_under_a_lax_umask(
    lab: Laboratory, web1: str, line: Transport
) -> None:
    assert "0000" in (await lab.shell(web1, "grep Umask /proc/$(pidof qemu-ga)/status")).output
    modes: list[str] = []

    async def typed() -> AsyncIterator[bytes]:
        yield b"typed\n"
        await asyncio.get_running_loop().create_future()

    request = ExecRequest(CommandLine("umask; read -r a; echo $a; echo err >&2; exec sleep 1000"))
    seen = b""
    cancel = asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), aclosing(run(line, request, stdin=typed(), cancel=cancel)) as events:
        async for event in events:
            seen += event.data if isinstance(event, Output) else b""
            if b"typed\n" in seen and b"err\n" in seen and not cancel.is_set():
                modes = (await lab.shell(web1, MODES)).output.splitlines()
                cancel.set()
    assert b"0000\n" in seen, "the command itself has the umask of its agent"
    folders = [mode for mode in modes if mode.endswith("directory")]
    files = [mode for mode in modes if not mode.endswith("directory")]
    assert folders == ["700 directory"]
    assert len(files) > len(("o", "e", "i", "o.0", "e.0", "i.end"))
    assert {mode.split()[0] for mode in files} == {"600"}
    assert {mode.split()[1] for mode in files} == {"fifo", "regular"}
    assert await remains(lab, web1) == NOTHING


async def test_files_of_a_run_that_waits_ahead_are_private_too(lab: Laboratory, web1: str, line: Transport) -> None:
    session = Session(line)
    session.prepare()
    async with asyncio.timeout(PATIENCE_S):
        session.run("true")
        await session.idle()
        await until_shell(lab, web1, f"ls {FOLDER}/go")
    modes = {tuple(mode.split()[:2]) for mode in (await lab.shell(web1, MODES)).output.splitlines()}
    assert modes == {("700", "directory"), ("600", "fifo"), ("600", "regular")}
    await session.close()
    assert await remains(lab, web1) == NOTHING


async def test_a_command_whose_reader_was_killed_ends_and_its_folder_goes(
    lab: Laboratory, web1: str, line: Transport
) -> None:
    chatty = "export QGA_KILLED=1; exec yes"
    async with asyncio.timeout(PATIENCE_S):
        async with stuck_client(lab.uri, web1, chatty, UNREAD_S) as pid:
            assert (await lab.shell(web1, f"cat /proc/{pid}/comm")).output.strip() == "yes"
        await until_shell(lab, web1, f"[ ! -e /proc/{pid}/exe ] && ! ls -d {FOLDER}")
    left = await remains(lab, web1)
    assert (left.folders, left.processes) == (0, 0)
    await sweep_leftovers(line, await read_profile(line))
    assert await remains(lab, web1) == NOTHING


async def test_a_local_file_is_the_whole_input_of_a_command(
    lab: Laboratory, web1: str, line: Transport, tmp_path: Path
) -> None:
    path = tmp_path / "input"
    data = b"".join(b"%07d\n" % number for number in range(PIECE // 3))
    assert len(data) > 2 * PIECE
    path.write_bytes(data)
    session = Session(line)
    async with asyncio.timeout(PATIENCE_S):
        session.run("sha256sum", stdin=pieces_of(path))
        await session.idle()
    assert session.scrollback.last_line.split()[0] == hashlib.sha256(data).hexdigest()
    await session.close()
    assert await remains(lab, web1) == NOTHING
