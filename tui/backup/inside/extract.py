"""Files and folders out of a backup's disk into a folder of the host, for this user alone."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.inside.debugfs import Entry, EntryKind, ExtReader
from tui.backup.inside.errors import InsideError
from tui.model.quantities import size
from tui.settings import PRIVATE_FILE, PRIVATE_FOLDER

ENTRY_LIMIT, DEPTH_LIMIT, NAME_LIMIT, REMARKS = 200_000, 100, 255, 200
ROOM_TO_LEAVE = 64 * 1024 * 1024
"""Bytes that stay free where the files go."""
_OWNER_BITS = 0o700


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was taken out so far: counts, bytes, and what was left out with the reason."""

    target: Path
    files: int = 0
    folders: int = 0
    bytes: int = 0
    left_out: tuple[str, ...] = ()

    def without(self, path: str, why: str) -> Extracted:
        """The same with one thing more left out; the reasons that are kept are bounded."""
        return self if len(self.left_out) >= REMARKS else replace(self, left_out=(*self.left_out, f"{path}: {why}"))


Tell = Callable[[Extracted], None]


async def extract(reader: ExtReader, entry: Entry, target: Path, tell: Tell) -> Extracted:
    """Take a file, or a folder with all below, out to `target`, which must not exist; `tell` hears of every file.

    Links, devices and pipes are left out: none is ever made here, so that no file of the guest's can lead another one
    out of `target`. Raises InsideError and OSError; what was written until then stays.
    """
    if not target.is_absolute():
        raise InsideError("The path must begin with / or ~", cause=str(target))
    return await _Extraction(reader, target, tell).run(entry)


class _Extraction:
    def __init__(self, reader: ExtReader, target: Path, tell: Tell) -> None:
        self._reader = reader
        self._tell = tell
        self._seen: set[int] = set()
        self._count = 0
        self._so_far = Extracted(target)

    async def run(self, entry: Entry) -> Extracted:
        await self._take(entry, self._so_far.target, (), first=True)
        return self._so_far

    async def _take(self, entry: Entry, target: Path, above: tuple[str, ...], *, first: bool = False) -> None:
        path = "/".join((*above, entry.name))
        self._count += 1
        if self._count > ENTRY_LIMIT:
            raise InsideError("There are too many files", cause=f"more than {ENTRY_LIMIT}")
        if why := _why_not(entry, len(above), self._seen):
            if first:
                raise InsideError("It cannot be taken out", cause=why)
            self._so_far = self._so_far.without(path, why)
        elif entry.kind is EntryKind.FOLDER:
            await self._take_folder(entry, target, above)
        else:
            await self._take_file(entry, target, path)
        self._tell(self._so_far)

    async def _take_folder(self, folder: Entry, target: Path, above: tuple[str, ...]) -> None:
        self._seen.add(folder.inode)
        listing = await self._reader.entries(folder.inode)
        await asyncio.to_thread(target.mkdir, PRIVATE_FOLDER)
        self._so_far = replace(self._so_far, folders=self._so_far.folders + 1)
        for entry in listing.entries:
            try:
                await self._take(entry, target / entry.name, (*above, folder.name))
            except FileExistsError:
                self._so_far = self._so_far.without(entry.name, "its folder holds the name twice")
        if listing.is_cut:
            self._so_far = self._so_far.without("/".join((*above, folder.name)), "it holds more than could be listed")

    async def _take_file(self, entry: Entry, target: Path, path: str) -> None:
        free = (await asyncio.to_thread(shutil.disk_usage, target.parent)).free - ROOM_TO_LEAVE
        if entry.size > free:
            raise InsideError("There is no room for it", cause=f"{path} has {size(entry.size)}, {size(free)} are free")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = await asyncio.to_thread(os.open, target, flags, PRIVATE_FILE)
        written = 0
        try:
            async with aclosing(self._reader.content(entry.inode)) as pieces:
                while written < entry.size and (piece := await anext(pieces, b"")):
                    kept = piece[: entry.size - written]
                    await asyncio.to_thread(_write, descriptor, kept)
                    written += len(kept)
            os.fchmod(descriptor, PRIVATE_FILE | (entry.mode & _OWNER_BITS))
            if entry.modified is not None:
                os.utime(descriptor, (entry.modified, entry.modified))
        finally:
            os.close(descriptor)
        done = self._so_far
        self._so_far = replace(done, files=done.files + 1, bytes=done.bytes + written)
        if written != entry.size:
            self._so_far = self._so_far.without(path, f"only {written} of {entry.size} bytes could be read")


def _why_not(entry: Entry, depth: int, seen: set[int]) -> str:
    """Why something is left out, empty where it is not."""
    name = os.fsencode(entry.name)
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name or len(name) > NAME_LIMIT:
        return "its name is none for a file here"
    if entry.kind is EntryKind.LINK:
        return "a symbolic link"
    if entry.kind is EntryKind.OTHER:
        return "a device, pipe or socket"
    if entry.kind is EntryKind.FOLDER and (entry.inode in seen or depth >= DEPTH_LIMIT):
        return "its folders go round in circles, or too deep"
    return ""


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
