"""Bytes of a session kept on disk in place of memory: private, without a name, gone when the process is.

The first of them stay in memory, so that short outputs of many guests open no files. Where the disk takes no more, the
newest are kept in memory too.
"""

from __future__ import annotations

import io
import tempfile
from collections import deque
from dataclasses import dataclass
from typing import IO

from tui import settings

FILE_BYTES = 64 * 1024 * 1024
"""Bytes of one file; the oldest file is given back as a whole."""
HEAD_BYTES = 4096
"""Bytes after which the disk is taken."""
MEMORY_BYTES, MEMORY_FILES = 2 * 1024 * 1024, 4
"""Bytes of one file in memory, and how many of those are kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes were put."""

    file: int
    offset: int
    length: int


class Spill:
    """An append-only store of at most about `limit` bytes.

    Each file is on disk, or in memory where the disk did not take it; `trouble` tells why, empty while there is none.
    """

    def __init__(self, limit: int, file_bytes: int = FILE_BYTES) -> None:
        self._limit = limit
        self._file_bytes = min(file_bytes, limit)
        self.trouble = ""
        self._files: deque[IO[bytes]] = deque()
        self._first = 0
        self._end = 0

    @property
    def first_file(self) -> int:
        """The number of the oldest file that is still there."""
        return self._first

    def put(self, data: bytes) -> Place:
        """Append; the oldest files are given back when that passes the limit."""
        try:
            if self._is_full():
                self._begin(_on_disk() if self._has_begun else io.BytesIO())
            self._write(data)
        except OSError as error:
            # A file in memory refuses nothing: what the disk refused, or a part of it, is written anew there.
            self.trouble = error.strerror or str(error)
            self._begin(io.BytesIO())
            self._write(data)
        place = Place(self._first + len(self._files) - 1, self._end, len(data))
        self._end += len(data)
        return place

    @property
    def _has_begun(self) -> bool:
        return bool(self._files) or self._first > 0

    def _is_full(self) -> bool:
        if not self._files:
            return True
        if not _is_in_memory(self._files[-1]):
            return self._end >= self._file_bytes
        return self._end >= (MEMORY_BYTES if self.trouble else min(HEAD_BYTES, self._file_bytes))

    def _begin(self, file: IO[bytes]) -> None:
        self._files.append(file)
        self._end = 0
        while (
            len(self._files) * self._file_bytes > self._limit + self._file_bytes
            or sum(map(_is_in_memory, self._files)) > MEMORY_FILES
        ):
            self._files.popleft().close()
            self._first += 1

    def _write(self, data: bytes) -> None:
        file, left = self._files[-1], memoryview(data)
        file.seek(self._end)
        while left:
            left = left[file.write(left) :]

    def get(self, place: Place) -> bytes:
        """What was put there; raises KeyError where its file was given back."""
        index = place.file - self._first
        if index < 0:
            raise KeyError(place)
        file = self._files[index]
        file.seek(place.offset)
        return file.read(place.length)

    def close(self) -> None:
        """Give everything back."""
        while self._files:
            self._files.popleft().close()
            self._first += 1

    def __del__(self) -> None:
        self.close()


def _on_disk() -> IO[bytes]:
    """A new file; raises OSError. Unbuffered, so that a write that the disk refuses fails at once."""
    # Unlinked from birth and 0600 (tempfile.TemporaryFile): no crash can leave it behind.
    folder = settings.private_folder(settings.state_folder())
    return tempfile.TemporaryFile(dir=folder, buffering=0)


def _is_in_memory(file: IO[bytes]) -> bool:
    return isinstance(file, io.BytesIO)
