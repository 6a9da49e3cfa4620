"""Exact, sparse copies of files with a checksum, and the checksum of a file read anew."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import queue
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from tui.backup.errors import BackupError, CancelledBackupError
from tui.settings import PRIVATE_FILE

CHUNK = 1024 * 1024
"""Bytes of one read."""
ROOM_POLL_S = 1.0
BUFFERS = 8
_ZEROS = bytes(CHUNK)
_FICLONE = 0x40049409
"""_IOW(0x94, 9, int) of linux/fs.h."""
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ETXTBSY, errno.EPERM}
_DROP_EVERY = 64 * 1024 * 1024
"""Bytes after which the page cache is told that they are not needed again."""


class SourceChangedError(BackupError):
    """An image that nobody should write to was written to."""


class Throttle:
    """A rate that copying threads keep to, changed at any time from another thread; 0 is unlimited."""

    def __init__(self, bytes_s: int = 0) -> None:
        self._bytes_s = bytes_s
        self._due = 0.0

    @property
    def bytes_s(self) -> int:
        """Bytes per second, 0 without a limit."""
        return self._bytes_s

    def set(self, bytes_s: int) -> None:
        """Change the rate; a debt from the former one is forgiven."""
        self._bytes_s, self._due = max(bytes_s, 0), 0.0

    def pause_s(self, count: int, now: float) -> float:
        """Seconds to wait before `count` bytes may be moved at monotonic second `now`."""
        if not self._bytes_s:
            return 0.0
        self._due = max(self._due, now) + count / self._bytes_s
        return self._due - now


class Summing:
    """A SHA-256 computed on a thread of its own, while the next piece is read and written.

    Its buffers go round: one is handed out again once its bytes are summed up.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[bytes | bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(bytearray(CHUNK))
        self._given_up = False
        self._thread = threading.Thread(target=self._serve, name="sha256", daemon=True)
        self._thread.start()

    def buffer(self) -> bytearray:
        """A buffer to read into; waits until one is free."""
        return self._free.get()

    def add(self, piece: bytes | bytearray, count: int) -> None:
        """Sum up the first `count` bytes; a buffer must not be touched any more."""
        self._full.put((piece, count))

    def end(self) -> str:
        """The sum in hexadecimal."""
        self._full.put(None)
        self._thread.join()
        return self._digest.hexdigest()

    def give_up(self) -> None:
        """Let the thread end without summing up what still waits, which may be terabytes of holes."""
        self._given_up = True
        self._full.put(None)

    def _serve(self) -> None:
        while (item := self._full.get()) is not None:
            if self._given_up:
                continue
            piece, count = item
            self._digest.update(piece if count == CHUNK else memoryview(piece)[:count])
            if isinstance(piece, bytearray):
                self._free.put(piece)


@dataclass(slots=True)
class Meter:
    """Shared between a copying thread and its watcher: bytes done, holes skipped, and the order to stop.

    `full` while the thread waits for room on the target.
    """

    done: int = 0
    skipped: int = 0
    full: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    throttle: Throttle = field(default_factory=Throttle)

    def wait(self, seconds: float) -> None:
        """Let seconds pass; raises CancelledBackupError when the order to stop comes."""
        if self.stop.wait(seconds):
            raise CancelledBackupError("The backup was cancelled")


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


def byte_length(path: str) -> int:
    """The length of a file or of a block device, whose status tells none; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def data_bytes(path: str) -> int:
    """Bytes of data in a sparse file, an estimate from its blocks; all bytes of a block device. Raises OSError."""
    status = Path(path).stat()
    if stat.S_ISBLK(status.st_mode):
        return byte_length(path)
    return min(status.st_size, status.st_blocks * 512)


def reflink(source: str, target: str) -> bool:
    """Make `target` share the extents of `source`, if their file system can: at once, and without new space.

    Raises OSError where the target cannot be made; ioctl_ficlone(2).
    """
    source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            fcntl.ioctl(target_fd, _FICLONE, source_fd)
            os.fsync(target_fd)
        except OSError as error:
            if error.errno not in _CANNOT_CLONE:
                raise
            Path(target).unlink()
            return False
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
    return True


def copy_file(source: str, target: str, meter: Meter) -> str:
    """Copy a file exactly, holes as holes, and return the sha256 of its content in hexadecimal.

    `target` must not exist; it is on the disk when this returns. Raises OSError, and CancelledBackupError when
    `meter.stop` is set.
    """
    source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target_fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            size = os.lseek(source_fd, 0, os.SEEK_END)
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
    summing = Summing()
    undropped = 0
    try:
        for offset, length, is_data in _extents(source_fd, size):
            for start, count in _chunks(offset, length):
                meter.wait(meter.throttle.pause_s(count, monotonic()) if is_data else 0)
                if not is_data:
                    summing.add(_ZEROS, count)
                    meter.skipped += count
                    continue
                buffer = summing.buffer()
                _read_into(source_fd, buffer, count, start)
                is_empty = buffer == _ZEROS if count == CHUNK else not any(buffer[:count])
                if is_empty:
                    # A device's unused space; left out, it is a hole in the copy.
                    meter.skipped += count
                elif target_fd is not None:
                    _write_when_there_is_room(target_fd, memoryview(buffer)[:count], start, meter)
                summing.add(buffer, count)
                meter.done += count
                undropped += count
                if undropped >= _DROP_EVERY:
                    undropped = 0
                    _drop(source_fd)
    except BaseException:
        summing.give_up()
        raise
    return summing.end()


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """Offset, length and whether it is data, for every extent; a file system without SEEK_DATA is all data."""
    at = 0
    while at < size:
        try:
            data = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.EINVAL:  # a block device knows no holes
                yield at, size - at, True
                return
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


def _read_into(descriptor: int, buffer: bytearray, count: int, offset: int) -> None:
    view = memoryview(buffer)[:count]
    while view:
        got = os.preadv(descriptor, [view], offset)
        if not got:
            raise SourceChangedError("The image became shorter while it was copied", cause=f"at byte {offset}")
        view, offset = view[got:], offset + got


def _write_when_there_is_room(descriptor: int, piece: memoryview, offset: int, meter: Meter) -> None:
    """Write a piece; on a full target try again until there is room, or the order to stop comes."""
    while True:
        try:
            _write(descriptor, piece, offset)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            meter.full = True
            meter.wait(ROOM_POLL_S)
        else:
            meter.full = False
            return


def _write(descriptor: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(descriptor, piece, offset)
        piece, offset = piece[written:], offset + written


def _drop(descriptor: int) -> None:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
