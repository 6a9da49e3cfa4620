"""ext2, ext3 and ext4 read by debugfs(8): no root, no mount, and files named by their inodes, never by their names."""

from __future__ import annotations

import asyncio
import re
import shutil
import stat
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from tui.backup.inside.errors import InsideError
from tui.hosts.children import Child, running

ROOT = 2
"""The inode of a file system's root folder."""
LISTING_LIMIT = 8 * 1024 * 1024
"""Bytes of a listing that are read: some hundred thousand names."""
PIECE = 256 * 1024
ANSWER_S = 30.0
"""Seconds for one answer; a damaged file system can lead debugfs in circles."""
MAY_BE = "The file system may be damaged; restored as a clone, the guest can repair it."
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC", "DEBUGFS_PAGER": "__none__"}
_ENTRY = re.compile(rb"/(\d{1,10})/([0-7]{6})/\d+/\d+/([^/]*)/(\d{0,19})/\n")
"""`ls -p`: inode, mode, owner, group, name, size, which folders have none. No name holds a slash."""
_LONG = re.compile(rb"^ *(\d{1,10}) .*?(\d{1,2}-[A-Z][a-z]{2}-\d{4} \d\d:\d\d) ")
"""`ls -l`: inode, mode, type, owner, group, size, time of change, name."""


class EntryKind(StrEnum):
    """What a name stands for."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    OTHER = "other"
    """A device, a pipe or a socket."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder; `size` in bytes, `modified` in Unix seconds or None where it is not known.

    `name` is foreign: any bytes but a slash and a zero, kept as surrogate escapes.
    """

    inode: int
    kind: EntryKind
    mode: int
    size: int
    name: str
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder, folders first; `is_cut` where there is more than was read."""

    entries: tuple[Entry, ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ExtReader:
    """Reads the file system at `offset` bytes of the disk behind `descriptor`."""

    descriptor: int
    offset: int = 0

    async def entries(self, inode: int = ROOT) -> Listing:
        """What is in a folder; raises InsideError."""
        short, complaint = await self._answer(f"ls -p <{inode}>", LISTING_LIMIT)
        if _ENTRY.search(short) is None:
            # Every folder holds itself at least.
            raise _unreadable(complaint)
        long, _ = await self._answer(f"ls -l <{inode}>", LISTING_LIMIT)
        return Listing(with_times(parse_short(short), long), len(short) >= LISTING_LIMIT)

    async def beginning(self, inode: int, limit: int) -> bytes:
        """The first `limit` bytes of a file; raises InsideError."""
        answer, complaint = await self._answer(f"cat <{inode}>", limit)
        if complaint and not answer:
            raise _unreadable(complaint)
        return answer

    async def content(self, inode: int) -> AsyncGenerator[bytes, None]:
        """All bytes of a file, piece by piece; whoever asks counts them. Raises InsideError."""
        async with self._debugfs(f"cat <{inode}>") as child:
            while piece := await child.output.read(PIECE):
                yield piece

    async def _answer(self, request: str, limit: int) -> tuple[bytes, str]:
        """At most `limit` bytes, and what debugfs complained of: it ends with 0 whatever happened."""
        try:
            async with self._debugfs(request) as child, asyncio.timeout(ANSWER_S):
                answer = await _up_to(child.output, limit)
                return answer, _complaint(await child.complaints()) if len(answer) < limit else ""
        except TimeoutError as error:
            raise InsideError("debugfs gave no answer", cause=f"within {ANSWER_S:.0f} s", next_step=MAY_BE) from error

    def _debugfs(self, request: str) -> AbstractAsyncContextManager[Child]:
        program = shutil.which("debugfs", path=_ENVIRONMENT["PATH"])
        if program is None:
            raise InsideError("debugfs is missing", next_step="Install the package e2fsprogs.")
        words = ("-R", request, f"/dev/fd/{self.descriptor}?offset={self.offset}")
        return running(program, *words, env=_ENVIRONMENT, pass_fds=(self.descriptor,))


def parse_short(answer: bytes) -> tuple[Entry, ...]:
    """The entries of `ls -p` but for the folder itself and the one above, in the folder's order."""
    found = (_entry(*match.groups()) for match in _ENTRY.finditer(answer))
    return tuple(entry for entry in found if entry.name not in {".", ".."} and entry.name and entry.inode)


def with_times(entries: tuple[Entry, ...], long: bytes) -> tuple[Entry, ...]:
    """The entries with the times that `ls -l` has for their inodes, folders first and then by name."""
    times: dict[int, float] = {}
    for line in long.split(b"\n"):
        match = _LONG.match(line)
        if match is not None:
            # A name that holds a newline can make a line of its own: it cannot take the place of a former one.
            times.setdefault(int(match[1]), _time(match[2]))
    timed = (
        Entry(entry.inode, entry.kind, entry.mode, entry.size, entry.name, times.get(entry.inode)) for entry in entries
    )
    return tuple(sorted(timed, key=lambda entry: (entry.kind is not EntryKind.FOLDER, entry.name)))


def _entry(inode: bytes, mode: bytes, name: bytes, size: bytes) -> Entry:
    bits = int(mode, 8)
    kinds = {stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFREG: EntryKind.FILE, stat.S_IFLNK: EntryKind.LINK}
    kind = kinds.get(stat.S_IFMT(bits), EntryKind.OTHER)
    return Entry(int(inode), kind, stat.S_IMODE(bits), int(size or 0), name.decode("utf-8", "surrogateescape"))


def _time(text: bytes) -> float:
    try:
        return datetime.strptime(text.decode("ascii"), "%d-%b-%Y %H:%M").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


async def _up_to(stream: asyncio.StreamReader, limit: int) -> bytes:
    pieces: list[bytes] = []
    left = limit
    while left and (piece := await stream.read(min(left, PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _complaint(said: bytes) -> str:
    lines = (line.strip() for line in said.decode("utf-8", "replace").splitlines())
    return " ".join(line for line in lines if line and not line.startswith("debugfs 1."))


def _unreadable(complaint: str) -> InsideError:
    cause = complaint[-300:] or "debugfs said nothing"
    return InsideError("The file system cannot be read", cause=cause, next_step=MAY_BE, original=complaint)
