"""The files of a run: written so that they are on the disk when the call returns, read with distrust."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from tui.settings import PRIVATE_FILE


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_text(path: Path, limit: int) -> str:
    """The text of a plain file, at most `limit` bytes of it; raises OSError.

    Whoever can write into the folder could have put a pipe there, which would never answer, or a link: neither is
    followed. Bytes that are no UTF-8 become replacement characters.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read(limit).decode("utf-8", "replace")


def write_new(path: Path, text: str) -> None:
    """Write a file of the user's alone that did not exist; raises OSError, FileExistsError included."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def replace_file(path: Path, text: str) -> None:
    """Write a file in one step: a reader sees the former text or the new one, nothing between."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    write_new(fresh, text)
    fresh.replace(path)
    sync_folder(path.parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: a system call may take a part of them alone (write(2)). Raises OSError, ENOSPC included."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def append_durably(path: Path, line: str) -> None:
    """Append one line to a file of the user's alone, on the disk when this returns.

    A line torn by a crash is closed first, so that it cannot swallow this one. Raises OSError where not all of it is
    written, as on a full disk: nothing of it is there then.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE), "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        try:
            write_all(file.fileno(), (b"\n" if torn else b"") + line.encode("utf-8", "surrogateescape") + b"\n")
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):  # the line that is cut short is closed by the next one
                os.ftruncate(file.fileno(), size)
            raise
    sync_folder(path.parent)
