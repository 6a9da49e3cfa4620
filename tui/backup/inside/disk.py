"""One disk of a backup, opened to look into: its parts, and a reader for those that can be read."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tui.backup.inside.debugfs import ExtReader
from tui.backup.inside.errors import InsideError
from tui.backup.inside.partitions import FsKind, Part, parts_of
from tui.backup.inside.raw_view import raw_view
from tui.backup.plan import ImageFormat

NO_FILES: dict[FsKind, str] = {
    FsKind.SWAP: "swap space holds no files",
    FsKind.LUKS: "it is encrypted: restore it as a clone, which asks for its passphrase",
    FsKind.UNKNOWN: "no file system is known there",
}


@dataclass(frozen=True, slots=True)
class OpenDisk:
    """A disk that can be looked into while the context it came from lasts; `path` is the backup's image."""

    path: str
    format: ImageFormat
    parts: tuple[Part, ...]
    descriptor: int

    def reader(self, part: Part) -> ExtReader:
        """A reader for a part's files; raises InsideError with what would read it where this program cannot."""
        if part.kind is FsKind.EXT:
            return ExtReader(self.descriptor, part.offset)
        if part.kind in NO_FILES:
            raise InsideError("There are no files to see here", cause=NO_FILES[part.kind])
        raise InsideError(
            f"{part.kind} cannot be read from here",
            cause="debugfs knows ext2, ext3 and ext4 only",
            next_step=f"With the package libguestfs-tools: {self.guestfish_words(part)}",
        )

    def guestfish_words(self, part: Part) -> str:
        """The command that looks into a part by hand, read-only and without root."""
        words = ("guestfish", "--ro", f"--format={self.format}", "-a", self.path)
        if part.kind is FsKind.LVM:
            return shlex.join((*words, "-i"))
        return shlex.join((*words, "-m", f"/dev/sda{part.number or ''}"))


@asynccontextmanager
async def open_disk(path: str, image_format: ImageFormat, *, may_copy: bool = False) -> AsyncIterator[OpenDisk]:
    """Open a backup's disk read-only; see `raw_view` for what is raised."""
    async with raw_view(path, image_format, may_copy=may_copy) as descriptor:
        yield OpenDisk(path, image_format, await asyncio.to_thread(_parts, descriptor), descriptor)


def _parts(descriptor: int) -> tuple[Part, ...]:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    return parts_of(lambda offset, count: os.pread(descriptor, count, offset) if offset < size else b"", size)
