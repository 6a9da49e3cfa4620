"""What one operator has in a guest is nobody else's: after a reset, and beside a copy of the operator's machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from tests.live.backup_fixtures import needs_root
from tests.live.host_agent import until
from tests.live.test_console_guest import QUICK, line_to, output, ran
from tui.console.session import Session
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory

APART = ("unshare", "--pid", "--fork", "--mount-proc")
"""A PID namespace of its own: processes of the machine cannot be looked for in it."""


async def test_after_a_reset_no_line_runs_in_another_operators_waiting_shell(lab: Laboratory, web1: str) -> None:
    hosts = [LibvirtHost(lab.uri, "lab") for _ in range(2)]
    for host in hosts:
        await host.open()
    mine, theirs = [Session(await line_to(host, web1), pace=QUICK) for host in hosts]
    try:
        mine.prepare()
        theirs.prepare()
        assert await ran(mine, "echo mine before") == ["mine before"]
        # A shell waits for the next line now; the agent gives the same handle numbers again once it begins anew.
        await lab.shell(web1, "until ls /tmp/qga-tui.*/go; do sleep 0.1; done")
        await lab.virsh("reset", web1)
        await asyncio.sleep(1)
        await lab.wait_for_agent(web1)
        assert await ran(theirs, "echo theirs first") == ["theirs first"]
        assert await ran(mine, "echo mine after; TAKEN=mine") == ["mine after"]
        assert await ran(theirs, 'echo "theirs second $TAKEN"') == ["theirs second "]
        assert output(mine) == ["mine before", "mine after"]
        assert output(theirs) == ["theirs first", "theirs second "]
    finally:
        for session in (mine, theirs):
            await session.close()
        for host in hosts:
            await host.close()


async def begun_exec(lab: Laboratory, state: Path, words: tuple[str, ...], *before: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "tui", "-c", lab.uri, "exec", "web1", "--", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
    )


@needs_root
async def test_a_copy_of_the_operators_machine_ends_no_command_of_the_original(
    lab: Laboratory, web1: str, tmp_path: Path
) -> None:
    original, copy, gate = tmp_path / "original", tmp_path / "copy", "/tmp/gate-of-the-original"
    waiting = await begun_exec(
        lab, original, ("sh", "-c", f"echo begun; until [ -e {gate} ]; do sleep 0.2; done; echo done")
    )
    assert waiting.stdout is not None
    assert await waiting.stdout.readline() == b"begun\n"
    await until(lambda: (original / "qga-tui" / "installation-id").exists())
    shutil.copytree(original, copy)
    for before in ((), APART):
        other = await begun_exec(lab, copy, ("true",), *before)
        _, said = await other.communicate()
        assert (other.returncode, said) == (0, b"")
    await lab.shell(web1, f"touch {gate}")
    out, said = await waiting.communicate()
    await lab.shell(web1, f"rm {gate}")
    assert (waiting.returncode, out, said) == (0, b"done\n", b"")
