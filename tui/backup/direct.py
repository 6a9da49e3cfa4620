"""Reading and writing images past the page cache, which spares a copy of every byte and the cache of the whole host."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os

ALIGNMENT = 4096
"""Bytes; offset, length and memory of a direct transfer are multiples of the device's block (open(2), O_DIRECT)."""


def aligned_memory(size: int) -> memoryview:
    """Memory that direct transfers may go to."""
    return memoryview(mmap.mmap(-1, size))


class DirectFile:
    """A descriptor that goes past the page cache where alignment and file system allow it, and through it elsewhere.

    Belongs to one thread at a time. Reads see what others wrote through the cache: the kernel writes it out first.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        self._refused = False
        self._is_direct = False

    def read(self, piece: memoryview, offset: int) -> int:
        """Read into a piece of aligned memory; returns the bytes read, 0 at the end. Raises OSError."""
        if self._choose(offset, len(piece)):
            try:
                return os.preadv(self.descriptor, [piece], offset)
            except OSError as error:
                self._take_refusal(error)
        return os.preadv(self.descriptor, [piece], offset)

    def write(self, piece: memoryview, offset: int) -> int:
        """Write from aligned memory; returns the bytes written. Raises OSError."""
        if self._choose(offset, len(piece)):
            try:
                return os.pwrite(self.descriptor, piece, offset)
            except OSError as error:
                self._take_refusal(error)
        return os.pwrite(self.descriptor, piece, offset)

    def _choose(self, offset: int, length: int) -> bool:
        wanted = not self._refused and offset % ALIGNMENT == 0 and length % ALIGNMENT == 0
        if wanted != self._is_direct:
            try:
                fcntl.fcntl(self.descriptor, fcntl.F_SETFL, self._flags | (os.O_DIRECT if wanted else 0))
            except OSError as error:
                self._take_refusal(error)
                return False
            self._is_direct = wanted
        return wanted

    def _take_refusal(self, error: OSError) -> None:
        """Do without from now on, where the file system or a device with larger blocks says EINVAL."""
        if error.errno != errno.EINVAL:
            raise error
        self._refused = True
        if self._is_direct:
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, self._flags)
            self._is_direct = False
