"""Writes cpio archives (SVR4 "newc", magic 070701), the format of an initial ramdisk; everything belongs to root.

The kernel unpacks several archives in a row into one file system; its documentation has the format in
driver-api/early-userspace/buffer-format.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A regular file in a guest: absolute path, content, permission bits."""

    path: str
    content: bytes
    mode: int = 0o644


def pack(files: Iterable[GuestFile], folders: Iterable[str] = ()) -> bytes:
    """An archive of `files` and `folders` with all their parent folders; of two files with one path the later wins."""
    by_path = {_inside(file.path): file for file in files}
    wanted = {_inside(folder) for folder in folders} | {parent for path in by_path for parent in _parents(path)}
    wanted |= {parent for folder in wanted for parent in _parents(folder)}
    entries = [_entry(folder, stat.S_IFDIR | 0o755, b"") for folder in sorted(wanted)]
    entries += [_entry(path, stat.S_IFREG | file.mode, file.content) for path, file in sorted(by_path.items())]
    return b"".join(entries) + _entry(_TRAILER, 0, b"")


def _inside(path: str) -> str:
    return str(PurePosixPath("/", path).relative_to("/"))


def _parents(path: str) -> set[str]:
    return {str(parent) for parent in PurePosixPath(path).parents} - {"."}


def _entry(name: str, mode: int, content: bytes) -> bytes:
    raw_name = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (0, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(raw_name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + raw_name) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
