"""A file of this machine as a command's input: named with the help of what is there, read in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

PIECE = 256 * 1024
"""Bytes read at a time."""


def files_beginning(typed: str) -> list[str]:
    """Files of this machine whose path begins so."""
    if not typed:
        return []
    path = Path(typed).expanduser()
    folder, start = (path, "") if typed.endswith("/") else (path.parent, path.name)
    try:
        return sorted(str(each) for each in folder.iterdir() if each.name.startswith(start) and each.is_file())
    except OSError:
        return []


def is_file(path: str) -> bool:
    """Whether it is one that can be read as such."""
    return Path(path).is_file()


async def pieces_of(path: Path) -> AsyncIterator[bytes]:
    """What is in the file; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
