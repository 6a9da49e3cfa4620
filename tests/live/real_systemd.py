"""A real systemd in namespaces of its own, with no unit but its own: it touches nothing of this machine's."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

READY_S = 60
SYSTEMD = Path("/lib/systemd/systemd")
AROUND = ("--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--cgroup", "--uts", "--ipc", "--net")
START = """\
set -e
mount -t tmpfs run /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs units /etc/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\n' > /etc/systemd/system/lab.target
export container=lab
exec {systemd} --system --unit=lab.target --log-target=console --show-status=false
"""


class RealSystemd:
    """Runs programs where that systemd is the first process."""

    def __init__(self, pid: int) -> None:
        self._around = ("nsenter", "--all", f"--target={pid}", "--")

    async def run(self, *words: str) -> tuple[int, str]:
        """What a program there exits with, and says."""
        process = await create_subprocess_exec(*self._around, *words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def lives(self, pid: int) -> bool:
        """Whether there is such a process there."""
        return (await self.run("kill", "-0", str(pid)))[0] == 0

    async def group(self, pid: int) -> str:
        """The control group of a process there."""
        code, said = await self.run("cat", f"/proc/{pid}/cgroup")
        assert code == 0, said
        return said.splitlines()[-1].removeprefix("0::")


@asynccontextmanager
async def real_systemd() -> AsyncIterator[RealSystemd]:
    """Start it and wait until it takes orders; all of its processes end with it."""
    words = ("unshare", *AROUND, "--propagation", "private", "sh", "-c", START.format(systemd=SYSTEMD))
    keeper = await create_subprocess_exec(*words, cwd="/", stdin=DEVNULL, stdout=PIPE, stderr=STDOUT)
    try:
        systemd = RealSystemd(await _first_process(keeper.pid))
        async with asyncio.timeout(READY_S):
            while (await systemd.run("systemctl", "is-system-running"))[1].strip() not in ("running", "degraded"):
                assert keeper.returncode is None
                await asyncio.sleep(0.1)
        yield systemd
    finally:
        keeper.kill()
        await keeper.communicate()


async def _first_process(keeper: int) -> int:
    children = Path(f"/proc/{keeper}/task/{keeper}/children")
    async with asyncio.timeout(READY_S):
        while not (found := children.read_text().split()):  # noqa: ASYNC110 - a process that begins tells nobody
            await asyncio.sleep(0.02)
    return int(found[0])
