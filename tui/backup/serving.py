"""A disk's content from a process of its own, which holds the image's lock and touches nothing of the target.

A program that writes to a target that hangs cannot be killed. Had it opened the guest's image, it would keep the lock,
and with it the guest from its merge.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.plan import ImageFormat, PlannedDisk

SERVER = "qemu-nbd"
READY_S, POLL_S = 30.0, 0.02
GREETING = b"NBDMAGIC"


@asynccontextmanager
async def served(disk: PlannedDisk) -> AsyncIterator[PlannedDisk]:
    """The disk, with all that lies below it, as a raw image that QEMU's programs can open for as long as the context.

    Without qemu-nbd it is the disk as it is. Raises BackupError and OSError.
    """
    if shutil.which(SERVER) is None:
        yield disk
        return
    with tempfile.TemporaryDirectory(prefix="qga-tui-nbd-", ignore_cleanup_errors=True) as folder:
        socket = Path(folder) / "socket"
        # The server ends with this process, however that ends.
        tied = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        how = ("--read-only", "--persistent", "--shared=0", f"--format={disk.format}", f"--socket={socket}")
        process = await asyncio.create_subprocess_exec(
            *(*tied, SERVER, *how, disk.base),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            await _until_ready(process, socket, disk)
            yield replace(disk, base=f"nbd+unix:///?socket={socket}", format=ImageFormat.RAW)
        finally:
            if process.returncode is None:
                process.kill()
            await asyncio.shield(process.wait())


async def _until_ready(process: asyncio.subprocess.Process, socket: Path, disk: PlannedDisk) -> None:
    try:
        async with asyncio.timeout(READY_S):
            while not await _answers(socket):
                if process.returncode is not None:
                    said = await process.stderr.read(4096) if process.stderr is not None else b""
                    words = said.decode("utf-8", "replace").strip()
                    raise BackupError("The disk could not be opened", cause=disk.base, original=words)
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise BackupError("The disk could not be opened", cause=f"{disk.base}: {SERVER} does not answer") from error


async def _answers(socket: Path) -> bool:
    """Whether the server greets: it listens before it has opened the image."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    try:
        return await reader.read(len(GREETING)) == GREETING
    except ConnectionResetError:
        return False
    finally:
        writer.close()
