"""A real qemu-ga that runs on this machine, behind a unix socket, kept from anything that could hurt the machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.raw_socket import RawSocket
from tui.lab.seed import seed_files
from tui.lab.spec import GuestSpec

HARMFUL = (
    "guest-shutdown",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-freeze-list",
    "guest-fstrim",
    "guest-set-time",
    "guest-set-user-password",
    "guest-set-vcpus",
    "guest-set-memory-blocks",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-remove-authorized-keys",
)
PACKAGE = "qemu-guest-agent"
ACCEPTS_CONNECTIONS = 0x10000  # __SO_ACCEPTCON


@dataclass(frozen=True, slots=True)
class HostAgent:
    """A running agent: its process, its private folder (also the TMPDIR of what it starts) and a line to it."""

    process: subprocess.Popen[bytes]
    folder: Path
    line: RawSocket

    @property
    def temp(self) -> Path:
        return self.folder / "tmp"

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def links(self) -> list[str]:
        """What the agent has open."""
        return [str(link.readlink()) for link in Path(f"/proc/{self.process.pid}/fd").iterdir()]

    def leftovers(self) -> list[Path]:
        return list(self.temp.iterdir())

    def windows_leftovers(self) -> list[Path]:
        """What the look-alike has in its temporary folder: a path of Windows is one name there."""
        return [path for path in self.folder.iterdir() if path.name.startswith("C:\\Windows\\Temp\\")]


@pytest.fixture(scope="session")
def qemu_ga() -> Iterator[Path]:
    """The program, from the distribution's package: unpacked, not installed."""
    folder = Path(tempfile.mkdtemp(prefix="qga-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        subprocess.run(["apt-get", "-qq", "download", PACKAGE], cwd=folder, check=True, capture_output=True)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", package, folder / "x"], check=True)
        yield folder / "x/usr/sbin/qemu-ga"
    finally:
        shutil.rmtree(folder)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does on this machine; nothing tells us of it."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextmanager
def running(qemu_ga: Path, *blocked: str, path: str = "", windows: bool = False) -> Iterator[HostAgent]:
    """An agent that also blocks `blocked`, with `path` as the PATH of what it starts; ended afterwards.

    With `windows` it says that it runs on Windows, and has the programs of the look-alike.
    """
    folder = Path(tempfile.mkdtemp(prefix="qga-", dir="/var/tmp"))
    (folder / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(folder / "tmp")} | ({"PATH": path} if path else {})
    if windows:
        lay_windows(folder / "windows")
        env |= {"PATH": f"{folder}/windows/usr/bin:{os.environ['PATH']}", "TEMP": r"C:\Windows\Temp"}
        env |= {"QGA_OS_RELEASE": f"{folder}/windows/etc/os-release"}
    socket = folder / "sock"
    files = ["-p", str(socket), "-t", str(folder), "-f", str(folder / "pid")]
    arguments = [str(qemu_ga), "-m", "unix-listen", *files, "-b", ",".join([*HARMFUL, *blocked])]
    process = subprocess.Popen(arguments, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_socket(socket, process)
        yield HostAgent(process, folder, RawSocket(socket))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
        _end_what_it_started(folder)
        shutil.rmtree(folder)


def lay_windows(folder: Path) -> None:
    """The files of the look-alike, below `folder`."""
    for file in seed_files(GuestSpec("win", windows_lookalike=True)):
        path = folder / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)


def _end_what_it_started(folder: Path) -> None:
    """Shells that wait for a command outlive a killed agent for minutes; the TMPDIR that is theirs alone tells them."""
    mark = f"TMPDIR={folder / 'tmp'}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_ours = mark in environment.read_bytes().split(b"\0")
            if is_ours:
                os.kill(int(environment.parent.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            # It ended by itself, or is another user's.
            continue


def _await_socket(socket: Path, process: subprocess.Popen[bytes]) -> None:
    """Look again and again: qemu-ga tells nobody that it listens. A bound socket exists before it takes connections."""
    deadline = time.monotonic() + 30
    while not listens(socket):
        assert process.poll() is None, "qemu-ga ended at its start"
        assert time.monotonic() < deadline, "qemu-ga does not listen"
        time.sleep(0.01)


def listens(socket: Path) -> bool:
    """Whether connections are taken there, by the kernel's flag SO_ACCEPTCON in `/proc/net/unix`."""
    rows = (line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:])
    return any(len(row) == 8 and row[7] == str(socket) and int(row[3], 16) & ACCEPTS_CONNECTIONS for row in rows)


@pytest_asyncio.fixture(loop_scope="session")
async def agent(qemu_ga: Path) -> AsyncIterator[HostAgent]:
    """An agent of the test's own."""
    with running(qemu_ga) as one:
        yield one
        await one.line.close()
