"""Exact, sparse copies of files with a checksum, and the checksum of a file read anew."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tui.backup.direct import DirectFile
from tui.backup.durable import sync_folder
from tui.backup.errors import BackupError
from tui.backup.landing import CHUNK, Landing
from tui.backup.meter import Meter
from tui.settings import PRIVATE_FILE

SAMPLE = 64 * 1024 * 1024
"""Bytes that tell how fast an image is read."""
SLOWEST = 1024 * 1024
"""Bytes per second below which a target that writes out what it took is as good as silent."""
_FICLONE = 0x40049409
"""_IOW(0x94, 9, int) of linux/fs.h."""
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ETXTBSY, errno.EPERM}
_DROP_EVERY = 64 * 1024 * 1024
"""Bytes after which the page cache is told that they are not needed again."""


class SourceChangedError(BackupError):
    """An image that nobody should write to was written to."""


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
        target_fd = create_target(target)
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
        with meter.asking():
            target_fd = create_target(target)
        try:
            size = os.lseek(source_fd, 0, os.SEEK_END)
            digest = _walk(source_fd, size, meter, target_fd)
            finish_target(target_fd, size, meter)
        finally:
            os.close(target_fd)
        return digest
    finally:
        _drop(source_fd)
        os.close(source_fd)


def create_target(path: str) -> int:
    """A descriptor of a new file of the user's alone; raises OSError, also where it exists."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)


def finish_target(descriptor: int, size: int, meter: Meter) -> None:
    """Give a copy its length, hole at the end included, and have it on the disk; raises OSError.

    A target that took its bytes into memory may be busy for as long as a slow disk needs for all of them.
    """
    with meter.asking(unwritten_bytes() / SLOWEST):
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
        _drop(descriptor)


def synced(path: str, meter: Meter) -> str:
    """Have a file that another program wrote on the disk, with its name; returns it. Raises OSError."""
    with meter.asking(unwritten_bytes() / SLOWEST):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(Path(path).parent)
    return path


def unwritten_bytes() -> int:
    """Bytes that this machine holds in memory for all its disks together; 0 where the kernel does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Dirty:", "Writeback:")))
    except (OSError, ValueError, IndexError):
        return 0


def hash_file(path: str, meter: Meter) -> str:
    """The sha256 of a file's content, read from the disk rather than from memory where the kernel allows it.

    Raises OSError, and CancelledBackupError when `meter.stop` is set.
    """
    with meter.asking():
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _drop(descriptor)
        return _walk(descriptor, os.fstat(descriptor).st_size, meter, None)
    finally:
        _drop(descriptor)
        os.close(descriptor)


def reading_rate(path: str, most_s: float) -> float:
    """Bytes per second at which an image's data is read from its disk and summed up, 0 where it holds none.

    Tried on the first SAMPLE bytes, for about `most_s` seconds. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        source, began, taken = DirectFile(descriptor), monotonic(), 0
        with Landing(Meter(), None) as landing:
            for start, count in _data_chunks(descriptor, size):
                _hand_over(source, landing, start, count)
                taken += count
                if taken >= SAMPLE or monotonic() - began >= most_s:
                    break
            landing.end()
        return taken / (monotonic() - began)
    finally:
        _drop(descriptor)
        os.close(descriptor)


def _data_chunks(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    for offset, length, is_data in _extents(descriptor, size):
        if is_data:
            yield from _chunks(offset, length)


def _walk(source_fd: int, size: int, meter: Meter, target_fd: int | None) -> str:
    """Sum up what `source_fd` holds, and write it where there is a target; without one, the source is the target's."""
    source, undropped = DirectFile(source_fd), 0
    extents = _extents(source_fd, size)
    with Landing(meter, target_fd) as landing:
        for offset, length, is_data in extents if target_fd is not None else meter.each_asked(extents):
            if not is_data:
                landing.hole(length)
                continue
            for start, count in _chunks(offset, length):
                meter.pace(count)
                with nullcontext() if target_fd is not None else meter.asking():
                    _hand_over(source, landing, start, count)
                undropped += count
                if undropped >= _DROP_EVERY:
                    undropped = 0
                    _drop(source_fd)
        return landing.end()


def _hand_over(source: DirectFile, landing: Landing, start: int, count: int) -> None:
    buffer = landing.buffer()
    _read_into(source, buffer[:count], start)
    landing.data(buffer, count, start)


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


def _read_into(source: DirectFile, piece: memoryview, offset: int) -> None:
    while piece:
        got = source.read(piece, offset)
        if not got:
            raise SourceChangedError("The image became shorter while it was copied", cause=f"at byte {offset}")
        piece, offset = piece[got:], offset + got


def _drop(descriptor: int) -> None:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
