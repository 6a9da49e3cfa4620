"""Keeping QEMU from writing to an image for a moment, by the locks that QEMU itself takes and respects."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from tui.backup.images import ImageError

_WRITTEN_TO, _BARRED = 101, 201
"""Bytes that QEMU locks while it writes to an image, and while it lets nobody else write to it.

(QEMU, block/file-posix.c: RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE, each with the bit of BLK_PERM_WRITE.)
"""
_FLOCK = "hhqqi"
"""struct flock of fcntl(2): type, whence, start, length, process, which is 0 for locks of an open file."""


@contextmanager
def barred_to_writers(path: str) -> Iterator[None]:
    """Let no QEMU, no guest's included, open an image for writing meanwhile.

    Raises ImageError where one writes to it by now, and OSError where the file system has no such locks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A writer takes its own lock first and looks for ours then; so no two can miss each other.
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, _BARRED, 1, 0))
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _WRITTEN_TO, 1, 0)
        found = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
        if found[0] != fcntl.F_UNLCK:
            raise ImageError("A program writes to the image", cause=path, next_step="See which one it is.")
        yield
    finally:
        os.close(descriptor)
