"""What a running guest may be writing to, read as it was at one moment: until two readings agree."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TypeVar

T = TypeVar("T")

TRIES = 20
PAUSE_S = 0.05
FIRMWARE_LIMIT = 256 * 1024 * 1024
"""Bytes; the variables of UEFI firmware have some hundred KiB."""


def settled(read: Callable[[], T], what: str, path: str) -> T:
    """What `read` returns twice in a row; blocks. Raises OSError where it changes all the time, told as `what`."""
    before = read()
    for _ in range(TRIES):
        # A writer that is held up in the midst of it goes on meanwhile.
        sleep(PAUSE_S)
        now = read()
        if now == before:
            return now
        before = now
    raise OSError(errno.EBUSY, f"{what} did not stand still", path)


def read_settled(path: Path) -> bytes:
    """The bytes of a small file or device, as they were at one moment; blocks, raises OSError."""
    return settled(lambda: _read(path), "the UEFI variables", str(path))


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "neither a plain file nor a device", str(path))
        content = file.read(FIRMWARE_LIMIT + 1)
    if len(content) > FIRMWARE_LIMIT:
        raise OSError(errno.EFBIG, "more than firmware writes", str(path))
    return content
