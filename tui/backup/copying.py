"""Exact, sparse copies of files with a checksum, and the checksum of a file read anew."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tui.backup.errors import BackupError, CancelledBackupError
from tui.settings import PRIVATE_FILE

CHUNK = 4 * 1024 * 1024
"""Bytes of one read."""
_ZEROS = bytes(CHUNK)
_DROP_EVERY = 64 * 1024 * 1024
"""Bytes after which the page cache is told that they are not needed again."""


class SourceChangedError(BackupError):
    """An image that nobody should write to was written to."""


@dataclass(slots=True)
class Meter:
    """Shared between a copying thread and its watcher: bytes of data done, and the order to stop."""

    done: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class FileMark:
    """What changes when a file is written to: size in bytes, modification time in nanoseconds, inode."""

    size: int
    mtime_ns: int
    inode: int


def file_mark(path: str) -> FileMark:
    """The mark of a file as it is now; raises OSError."""
    status = Path(path).stat()
    return FileMark(status.st_size, status.st_mtime_ns, status.st_ino)


def data_bytes(path: str) -> int:
    """Bytes of data in a sparse file, an estimate from its blocks; raises OSError."""
    status = Path(path).stat()
    return min(status.st_size, status.st_blocks * 512)


def copy_file(source: str, target: str, meter: Meter) -> str:
    """Copy a file exactly, holes as holes, and return the sha256 of its content in hexadecimal.

    `target` must not exist; it is on the disk when this returns. Raises OSError, and CancelledBackupError when
    `meter.stop` is set.
    """
    source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            size = os.fstat(source_fd).st_size
            digest = _walk(source_fd, size, meter, target_fd)
            os.ftruncate(target_fd, size)
            os.fsync(target_fd)
            _drop(target_fd)
        finally:
            os.close(target_fd)
        return digest
    finally:
        _drop(source_fd)
        os.close(source_fd)


def hash_file(path: str, meter: Meter) -> str:
    """The sha256 of a file's content, read from the disk rather than from memory where the kernel allows it.

    Raises OSError, and CancelledBackupError when `meter.stop` is set.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _drop(descriptor)
        return _walk(descriptor, os.fstat(descriptor).st_size, meter, None)
    finally:
        _drop(descriptor)
        os.close(descriptor)


def _walk(source_fd: int, size: int, meter: Meter, target_fd: int | None) -> str:
    digest = hashlib.sha256()
    undropped = 0
    for offset, length, is_data in _extents(source_fd, size):
        for start, count in _chunks(offset, length):
            if meter.stop.is_set():
                raise CancelledBackupError("The backup was cancelled")
            if not is_data:
                digest.update(_ZEROS[:count] if count < CHUNK else _ZEROS)
                continue
            piece = _read(source_fd, start, count)
            digest.update(piece)
            if target_fd is not None:
                _write(target_fd, piece, start)
            meter.done += count
            undropped += count
            if undropped >= _DROP_EVERY:
                undropped = 0
                _drop(source_fd)
    return digest.hexdigest()


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """Offset, length and whether it is data, for every extent; a file system without SEEK_DATA is all data."""
    at = 0
    while at < size:
        try:
            data = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size
        if data > at:
            yield at, min(data, size) - at, False
        if data >= size:
            return
        hole = min(os.lseek(descriptor, data, os.SEEK_HOLE), size)
        yield data, hole - data, True
        at = hole


def _chunks(offset: int, length: int) -> Iterator[tuple[int, int]]:
    end = offset + length
    while offset < end:
        # Chunks end on multiples of CHUNK, whatever the extent begins with.
        count = min(end, offset - offset % CHUNK + CHUNK) - offset
        yield offset, count
        offset += count


def _read(descriptor: int, offset: int, count: int) -> bytes:
    piece = os.pread(descriptor, count, offset)
    while len(piece) < count:
        more = os.pread(descriptor, count - len(piece), offset + len(piece))
        if not more:
            raise SourceChangedError("The image became shorter while it was copied", cause=f"at byte {offset}")
        piece += more
    return piece


def _write(descriptor: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _drop(descriptor: int) -> None:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
