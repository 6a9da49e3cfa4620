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
from functools import partial
from pathlib import Path
from shlex import quote

from tui.backup.errors import BackupError
from tui.backup.plan import ImageFormat, PlannedDisk
from tui.backup.tied import NotServingError, start_tied, until_it_serves
from tui.hosts.children import Child

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
        how = ("--read-only", "--persistent", "--shared=0", f"--format={disk.format}", f"--socket={socket}")
        server = await start_tied(SERVER, *how, disk.base, signal="KILL")
        try:
            await _until_ready(server, socket, disk)
            yield replace(disk, base=f"nbd+unix:///?socket={socket}", format=ImageFormat.RAW)
        finally:
            # The guest's disk is merged next: nobody else may have it open by then.
            await asyncio.shield(server.let_go(within_s=None))


async def _until_ready(server: Child, socket: Path, disk: PlannedDisk) -> None:
    try:
        await until_it_serves(server, partial(_answers, socket), within_s=READY_S, poll_s=POLL_S)
    except NotServingError as error:
        raise BackupError(
            "The disk could not be opened",
            cause=f"{disk.base}: {error.said or f'{SERVER} does not answer'}",
            next_step=f"See whether it can be read at all: qemu-img info -U {quote(disk.base)}",
            original=error.said,
        ) from error


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
