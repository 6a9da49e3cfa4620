"""Runs shell commands in a guest through its serial console: a way in that does not depend on the agent."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import secrets
import tty
from typing import NamedTuple

from tui.lab.programs import LabError

OUTPUT_LIMIT = 1_000_000
"""Bytes of a command's output that are brought home; the rest is cut."""
_BUFFER_LIMIT = 2 * OUTPUT_LIMIT
_PIECE = 512
"""Characters of the command per line: the line editor of the guest's shell takes 1023."""
_RETRY = 1.0
"""Seconds after which an unanswered greeting is repeated; input during boot is lost."""


class ShellResult(NamedTuple):
    """Exit status, and standard output and error as they came, mixed."""

    code: int
    output: str


class SerialConsole:
    """The root shell on the console pty of one running guest; one command at a time.

    Everything that goes in is echoed by the terminal, so what is waited for is typed in two parts ('<'abc'>') and comes
    back in one (<abc>). The output crosses as base64: the terminal changes line ends, the kernel may speak in between.
    """

    def __init__(self, pty: str) -> None:
        self.pty = pty
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._file = os.open(pty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        tty.setraw(self._file)
        asyncio.get_running_loop().add_reader(self._file, self._read)

    @property
    def closed(self) -> bool:
        """Whether the guest hung up or `close` was called."""
        return self._file < 0

    def close(self) -> None:
        """Let go of the pty."""
        if self._file >= 0:
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)
            self._file = -1
            self._arrived.set()

    async def run(self, command: str, timeout: float) -> ShellResult:
        """Run shell lines as root; raises LabError when the shell is gone or silent for `timeout` seconds."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(timeout):
                    await self._greet()
                    return await self._run(command)
            except TimeoutError as error:
                heard = self._received[-2000:].decode(errors="replace")
                raise LabError(
                    "The console of the guest did not answer", cause=f"nothing for {timeout:.0f} s", original=heard
                ) from error

    async def _greet(self) -> None:
        """Await a shell that reads; ^C drops a quote that a line cut by the boot left open, ^U the rest of a line."""
        while True:
            try:
                async with asyncio.timeout(_RETRY):
                    await self._acknowledged("\x03\x15true")
                    return
            except TimeoutError:
                continue

    async def _run(self, command: str) -> ShellResult:
        encoded = base64.b64encode(command.encode()).decode()
        await self._acknowledged("c=")
        for start in range(0, len(encoded), _PIECE):
            await self._acknowledged(f"c=${{c}}{encoded[start : start + _PIECE]}")
        await self._acknowledged("echo $c | base64 -d >/run/console-command")
        mark = secrets.token_hex(4)
        shown = (
            f"sh /run/console-command </dev/null >/run/console-output 2>&1; r=$?; echo '<'{mark}; "
            f"head -c {OUTPUT_LIMIT} /run/console-output | base64; echo {mark}'>'$r."
        )
        found = await self._answer(shown, re.compile(rf"<{mark}\s(.*?){mark}>(\d+)\.".encode(), re.DOTALL))
        try:
            output = base64.b64decode(b"".join(found[1].split()), validate=True)
        except binascii.Error as error:
            raise LabError(
                "The console of the guest was spoken over", cause="the kernel or init wrote to it"
            ) from error
        return ShellResult(int(found[2]), output.decode(errors="replace"))

    async def _acknowledged(self, line: str) -> None:
        mark = secrets.token_hex(4)
        await self._answer(f"{line}; echo '<'{mark}'>'", re.compile(f"<{mark}>".encode()))

    async def _answer(self, line: str, wanted: re.Pattern[bytes]) -> re.Match[bytes]:
        self._received.clear()
        await self._write(f"{line}\n".encode())
        while not (found := wanted.search(self._received)):
            if self.closed:
                raise LabError("The console of the guest hung up", cause="the guest is off")
            self._arrived.clear()
            await self._arrived.wait()
        return found

    async def _write(self, data: bytes) -> None:
        while data and not self.closed:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:
                await asyncio.sleep(0.01)

    def _read(self) -> None:
        try:
            data = os.read(self._file, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: the other end of the pty is closed
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        del self._received[:-_BUFFER_LIMIT]
        self._arrived.set()
