"""Whether the file of a name is the one that a running guest's QEMU has open: by device and inode, not by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tui.hosts.process_list import processes_of_guest

FileIdentity = tuple[str, int, int]


def has_open(uuid: str, path: str) -> bool | None:
    """Whether the guest has what is called `path` here open; None where that cannot be seen. Blocks.

    Raises OSError where there is no such file. A device is known by its numbers: libvirt gives QEMU a /dev of its own.
    """
    wanted = identity_of(os.stat(path))  # noqa: PTH116 - beside the other one
    seen = [opened for pid in processes_of_guest(uuid) if (opened := _opened_by(pid))]
    return any(wanted in opened for opened in seen) if seen else None


def identity_of(status: os.stat_result) -> FileIdentity:
    """What a file is, whatever it is called: a device by its numbers, anything else by its device and inode."""
    if stat.S_ISBLK(status.st_mode):
        return "device", status.st_rdev, 0
    return "file", status.st_dev, status.st_ino


def _opened_by(pid: int) -> set[FileIdentity]:
    """What a process has open; nothing of one that this user may not look into."""
    found: set[FileIdentity] = set()
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(identity_of(each.stat()))
            except FileNotFoundError:
                continue
    except OSError:
        return set()
    return found
