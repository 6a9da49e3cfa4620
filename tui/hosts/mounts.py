"""Whether a path means the same file to another process of this machine: by both processes' tables of mounts.

Mount namespaces of one machine share its devices: where the same part of the same file system is mounted at the same
place along a whole path, links included, the path is the same file (proc_pid_mountinfo(5), mount_namespaces(7)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO_LIMIT = 16 * 1024 * 1024
LINKS_LIMIT = 40
"""Symbolic links on one way (path_resolution(7))."""
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A part of a file system, `device` its numbers and `root` the part, and the folder that it is mounted on."""

    device: str
    root: str
    point: str


def read_mounts(pid: int | str) -> tuple[Mount, ...]:
    """The mounts that a process sees, in the order in which they came; raises OSError."""
    with Path(f"/proc/{pid}/mountinfo").open("rb") as file:
        return parse_mounts(file.read(MOUNTINFO_LIMIT).decode("utf-8", "surrogateescape"))


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts in the text of a mountinfo; blanks in its names are octal."""
    lines = (line.split(" ") for line in text.split("\n"))
    return tuple(Mount(words[2], _plain(words[3]), _plain(words[4])) for words in lines if len(words) > 5)


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word)


def covering(mounts: Iterable[Mount], path: str) -> Mount | None:
    """The mount that an absolute path without links lies on: the deepest, of several on one folder the last."""
    found: Mount | None = None
    for mount in mounts:
        inside = path == mount.point or path.startswith(f"{mount.point.rstrip('/')}/")
        if inside and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def other_mount(pid: int, paths: Iterable[str]) -> str:
    """The first of the absolute paths that may be another file to the process `pid`; empty where none is.

    Blocks; raises OSError where the process's mounts cannot be read.
    """
    ours, theirs = read_mounts("self"), read_mounts(pid)
    if ours == theirs:
        return ""
    for path in paths:
        for place in _on_the_way(path):
            mount = covering(ours, place)
            if mount is None or mount != covering(theirs, place):
                return path
    return ""


def _on_the_way(path: str) -> Iterator[str]:
    """Every place that the kernel comes by on its way along an absolute path, links followed; none twice in a loop."""
    left, here, links = [part for part in path.split("/") if part], "/", 0
    yield here
    while left:
        part = left.pop(0)
        if part == ".":
            continue
        if part == "..":
            here = str(Path(here).parent)
            continue
        place = f"{here.rstrip('/')}/{part}"
        yield place
        try:
            to = str(Path(place).readlink())
        except OSError:
            # No link, or nothing that is there yet.
            here = place
            continue
        links += 1
        if links > LINKS_LIMIT:
            return
        left = [part for part in to.split("/") if part] + left
        here = "/" if to.startswith("/") else here
