"""Which folders keep what is written to them only until the host stops: file systems in the host's memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

IN_MEMORY = frozenset({"devtmpfs", "tmpfs", "ramfs", "hugetlbfs"})
MEMORY_DEVICES = ("zram", "ram")
"""Block devices that are memory (drivers/block/zram, brd)."""
USUALLY_IN_MEMORY = ("/dev", "/run", "/var/run", "/proc", "/sys")
"""Folders of a machine that cannot be looked at: there, these are in memory."""
_MOUNTS = Path("/proc/self/mountinfo")


def volatile_here(folder: str) -> str:
    """The type of the file system of a folder of this machine where that is memory, else empty; blocks for a look.

    A folder that is not there yet counts as the nearest one above it. The type is the kernel's own word for the
    device on which the folder lies (proc(5), mountinfo).
    """
    place = Path(os.path.realpath(folder))
    while True:
        try:
            device = place.stat().st_dev
            break
        except OSError:
            if place.parent == place:
                return ""
            place = place.parent
    number = f"{os.major(device)}:{os.minor(device)}"
    named, options = next(((kind, options) for at, kind, options in mounts_here() if at == number), ("", ""))
    if named in IN_MEMORY:
        return named
    upper = _upper_folder(options) if named == "overlay" else ""
    return volatile_here(upper) if upper and Path(upper).is_dir() else _memory_device(number)


def volatile_elsewhere(folder: str) -> str:
    """The same by the folder's name alone, for a machine that cannot be looked at."""
    path = os.path.normpath(folder)
    below = next((each for each in USUALLY_IN_MEMORY if path == each or path.startswith(f"{each}/")), "")
    return f"memory, as {below} is" if below else ""


def mounts_here() -> Iterator[tuple[str, str, str]]:
    """Device number, type and options of each mount that this process sees."""
    try:
        lines: Iterable[str] = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if separator and len(fields) > 2 and len(rest) > 1:
            yield fields[2], rest[0], rest[-1]


def _upper_folder(options: str) -> str:
    """Where an overlayfs keeps what is written to it; in a container that is a path of its host."""
    return next((each.removeprefix("upperdir=") for each in options.split(",") if each.startswith("upperdir=")), "")


def _memory_device(number: str) -> str:
    """The name of a block device that is memory, else empty."""
    try:
        name = Path(os.path.realpath(f"/sys/dev/block/{number}")).name
    except OSError:
        return ""
    for driver in MEMORY_DEVICES:
        if name.startswith(driver) and name.removeprefix(driver).isdecimal():
            return name
    return ""
