"""A file of this machine as a command's input: named with the help of what is there, read in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tui.model.errors import ExplainedError
from tui.model.paths import typed_path

PIECE = 256 * 1024
"""Bytes read at a time."""


def files_beginning(typed: str) -> list[str]:
    """Files of this machine whose path begins so. Blocks as long as the disk does."""
    if not typed:
        return []
    try:
        path = typed_path(typed, may_be_relative=True)
        folder, start = (path, "") if typed.endswith("/") else (path.parent, path.name)
        return sorted(str(each) for each in folder.iterdir() if each.name.startswith(start) and each.is_file())
    except (ExplainedError, OSError):
        return []


def file_at(typed: str) -> Path:
    """The file that is meant, from wherever it is read later; raises ExplainedError where it is none. Blocks."""
    path = typed_path(typed, may_be_relative=True).absolute()
    if not path.is_file():
        raise ExplainedError(f"{path} is no file")
    return path


async def pieces_of(path: Path) -> AsyncIterator[bytes]:
    """What is in the file; raises OSError where it cannot be read. A slow disk holds nobody else up."""
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
