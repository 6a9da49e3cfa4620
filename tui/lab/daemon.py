"""A private, unprivileged libvirtd: it touches nothing of the system's libvirt."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

from tui.lab.image import lab_cache
from tui.lab.programs import LabError, host_environment, run_program
from tui.lab.remains import LabFolder

START_TIMEOUT = 30.0
IDLE_TIMEOUT = 3600
"""Seconds without guests and clients after which the daemon ends by itself."""
_SETTINGS = """\
# The daemon writes the guests' logs itself: no virtlogd.
stdio_handler = "file"
security_driver = "none"
"""
_CAPABILITIES = Path("libvirt/qemu/cache/capabilities")


class Daemon:
    """libvirtd in a claimed folder; ended by removing that folder."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._log = folder.path / "libvirtd.log"
        self._process: asyncio.subprocess.Process | None = None
        self._environment = {
            "PATH": host_environment()["PATH"],
            "LC_ALL": "C",
            "HOME": str(folder.home),
            "XDG_RUNTIME_DIR": str(folder.runtime),
            "XDG_CONFIG_HOME": str(folder.config),
            "XDG_CACHE_HOME": str(folder.home),
            "XDG_DATA_HOME": str(folder.home),
        }

    @property
    def uri(self) -> str:
        """The libvirt URI, good for root and for the laboratory's user."""
        return f"qemu:///session?socket={self._socket}"

    @property
    def _socket(self) -> Path:
        return self._folder.runtime / "libvirt" / "libvirt-sock"

    async def start(self) -> None:
        """Start and wait until it takes connections; raises LabError with the end of its log."""
        if not (self._folder.config / "libvirt").exists():
            self._prepare()
        argv = self._argv()
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                cwd="/",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while not await self._takes_connections():
                    if self._process.returncode is not None:
                        raise self._failed("it ended by itself")
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise self._failed(f"it took no connection for {START_TIMEOUT:.0f} s") from error

    def _argv(self) -> list[str]:
        pid_file = self._folder.runtime / "libvirtd.pid"
        argv = ["libvirtd", "--timeout", str(IDLE_TIMEOUT), "--pid-file", str(pid_file)]
        if os.geteuid() != 0:
            return argv
        user = self._folder.user
        return ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--", *argv]

    async def kill(self) -> None:
        """End the daemon as a crash would; its guests run on, and `start` begins a new one that takes them over."""
        pid = int((self._folder.runtime / "libvirtd.pid").read_text("ascii"))
        os.kill(pid, signal.SIGKILL)
        await self.reap()

    async def virsh(self, *words: str, timeout: float = 60.0) -> str:
        """What `virsh` prints for a command; raises LabError, whose `original` is libvirt's own text."""
        return await run_program("virsh", "-q", "-c", self.uri, *words, env=self._environment, timeout=timeout)

    async def reap(self) -> None:
        """Take note of the end of the daemon, which must have been brought about."""
        if self._process is not None:
            await self._process.wait()

    def keep_capabilities(self) -> None:
        """Save what libvirt found out about QEMU: asking it takes seconds, libvirt checks whether it still holds."""
        target = lab_cache() / "capabilities"
        target.mkdir(parents=True, exist_ok=True)
        for path in (self._folder.home / _CAPABILITIES).glob("*.xml"):
            if not (target / path.name).exists():
                shutil.copy(path, target)

    def _prepare(self) -> None:
        settings = self._folder.config / "libvirt" / "qemu.conf"
        settings.parent.mkdir()
        settings.write_text(_SETTINGS)
        known = self._folder.home / _CAPABILITIES
        known.mkdir(parents=True)
        for path in (lab_cache() / "capabilities").glob("*.xml"):
            shutil.copy(path, known)
        for top in (self._folder.config, self._folder.home):
            for path in top.rglob("*"):
                self._folder.give(path)

    async def _takes_connections(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def _failed(self, cause: str) -> LabError:
        log = self._log.read_text(errors="replace").strip()
        last = log.splitlines()[-1] if log else "nothing"
        return LabError(
            "The private libvirtd could not be started", cause=f"{cause}; its log says: {last}", original=log
        )
