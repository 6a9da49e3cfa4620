"""Bytes of a session kept on disk in place of memory: private, without a name, gone when the process is."""

from __future__ import annotations

import tempfile
from collections import deque
from dataclasses import dataclass
from typing import IO

from tui import settings

FILE_BYTES = 64 * 1024 * 1024
"""Bytes of one file; the oldest file is given back as a whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes were put."""

    file: int
    offset: int
    length: int


class Spill:
    """An append-only store of at most about `limit` bytes. Raises OSError where the disk takes no more."""

    def __init__(self, limit: int, file_bytes: int = FILE_BYTES) -> None:
        self._limit = limit
        self._file_bytes = min(file_bytes, limit)
        self._files: deque[IO[bytes]] = deque()
        self._first = 0
        self._end = 0

    @property
    def first_file(self) -> int:
        """The number of the oldest file that is still there."""
        return self._first

    def put(self, data: bytes) -> Place:
        """Append; the oldest file is given back when that passes the limit."""
        if not self._files or self._end >= self._file_bytes:
            # Unlinked from birth and 0600 (tempfile.TemporaryFile): no crash can leave it behind.
            folder = settings.private_folder(settings.state_folder())
            self._files.append(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
            self._end = 0
            if len(self._files) * self._file_bytes > self._limit + self._file_bytes:
                self._files.popleft().close()
                self._first += 1
        place = Place(self._first + len(self._files) - 1, self._end, len(data))
        file = self._files[-1]
        file.seek(self._end)
        file.write(data)
        self._end += len(data)
        return place

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
