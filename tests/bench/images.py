"""The big image that copies are measured with, and one state of machine and disk for every peer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tui.backup.direct import DirectFile, aligned_memory

GIB = 1024**3
SIZE = 4 * GIB
PIECE = 64 * 1024 * 1024
SETTLE_S = 1.0
"""Seconds in which the disk takes back what was removed: nothing tells of the end of that."""


def make_image(path: Path) -> None:
    """Data and holes by turns, in pieces that are not aligned with our chunks' number."""
    with path.open("wb") as file:
        noise = os.urandom(PIECE)
        for number in range(0, SIZE // PIECE, 2):
            file.seek(number * PIECE)
            file.write(noise)
        file.truncate(SIZE)
        file.flush()
        os.fsync(file.fileno())


def level(*paths: Path) -> None:
    """The same start for whoever comes next, after whatever came before.

    What was written or removed is settled on the disk, which gives removed blocks back a while later; each file was
    read once, so that a cache below this machine holds it for everybody or for nobody; none of it is in memory; and
    as much memory as a page cache may want is at hand, where a machine's host had taken it back.
    """
    os.sync()
    time.sleep(SETTLE_S)
    os.sync()
    for path in paths:
        _read_through(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    _touch_memory()


def _read_through(path: Path) -> None:
    piece = aligned_memory(PIECE)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        source, offset = DirectFile(descriptor), 0
        while got := source.read(piece, offset):
            offset += got
    finally:
        os.close(descriptor)


def _touch_memory() -> None:
    """In a process of its own, so that this one's most memory stays what it needed."""
    touch = f"import mmap; mmap.mmap(-1, {SIZE + GIB}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)"
    subprocess.run([sys.executable, "-c", touch], check=True)
