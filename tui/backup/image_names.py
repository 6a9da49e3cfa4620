"""What an image is and what it is called: one image has many names, and texts alone do not tell that they are one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """One image: `path` is where it is, `is_device` whether that is a block device, `names` what it is called too.

    The path of a file is the real one, links followed. A device keeps the name that the definition gives it, without
    detours: what its links lead to (`/dev/dm-3`, `/dev/sdb`) may be another device after a reboot.
    """

    path: str
    is_device: bool
    names: tuple[str, ...] = ()


def plain(path: str) -> str:
    """A path without double slashes, `.` and `..`, as a text: what is no absolute path is left as it is."""
    if not path.startswith("/"):
        return path
    # POSIX leaves the meaning of exactly two leading slashes to the system, and normpath keeps them; Linux has none.
    return os.path.normpath(f"/{path.lstrip('/')}")


def is_block_device(path: str) -> bool:
    """Whether a path of this machine leads to a block device; blocks for a look, which needs no right to read."""
    try:
        return stat.S_ISBLK(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def identity_here(spelled: str, *others: str) -> ImageIdentity:
    """The image of this machine that a definition spells so; `others` are further names. Blocks for a look."""
    is_device = is_block_device(spelled)
    path = _device_path(spelled) if is_device else real_path(spelled)
    return ImageIdentity(path, is_device, _further(path, spelled, *others))


def identity_elsewhere(spelled: str, *others: str, is_device: bool) -> ImageIdentity:
    """The same of another machine, of which nothing but texts, and what its storage says, is known."""
    path = plain(spelled)
    return ImageIdentity(path, is_device, _further(path, spelled, *others))


def real_path(path: str) -> str:
    """Where a path of this machine leads, as far as it can be followed; what is no absolute path is left as it is."""
    if not path.startswith("/"):
        return path
    try:
        return plain(os.path.realpath(path))
    except (OSError, ValueError):
        return plain(path)


def _device_path(spelled: str) -> str:
    """A device's own name in its real folder: `/dev/vg/lv` stays what it is called."""
    folder, name = os.path.split(spelled.rstrip("/"))
    if name in ("", ".", ".."):
        return real_path(spelled)
    return plain(f"{real_path(folder)}/{name}")


def _further(path: str, *names: str) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys((*names, *map(plain, names))) if name and name != path)


def known_as(names: Iterable[str], *, here: bool) -> frozenset[str]:
    """Everything by which two lists of names can be seen to mean one image, whatever each of them calls it.

    `here` looks at this machine: the real path of a file and its number as `file 8:1234`, the number of a device as
    `device 8:1`. Blocks then.
    """
    found: set[str] = set()
    for name in names:
        if not name:
            continue
        found |= {name, plain(name)}
        if here and name.startswith("/"):
            found.add(real_path(name))
            found |= _numbers(name)
    return frozenset(found)


def _numbers(path: str) -> set[str]:
    """What the kernel tells a device or a file by; a file may have several names that are no links to each other."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return set()
    if stat.S_ISBLK(status.st_mode):
        return {f"device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"}
    return {f"file {status.st_dev}:{status.st_ino}"} if stat.S_ISREG(status.st_mode) else set()
