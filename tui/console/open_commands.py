"""The commands that were started and have not ended, a file each: what a program that died left is found by them."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tui import settings
from tui.system.process_identity import own_identity, read_identity

_log = logging.getLogger(__name__)
_LIMIT = 1024 * 1024
"""Bytes of such a file that are read; a command line is at most 128 KiB (see `agent.exec_model`)."""


class OpenCommand:
    """A command of this process that runs in a guest."""

    def __init__(self, record: Mapping[str, object]) -> None:
        """Note it; raises OSError, and leaves nothing then."""
        self._path = _folder() / f"{own_identity()}.{secrets.token_hex(4)}"
        settings.append_private(self._path, json.dumps(record))

    def close(self) -> None:
        """It has ended."""
        with suppress(OSError):
            self._path.unlink()


def take_abandoned() -> list[dict[str, object]]:
    """The records of commands whose process is proven to be gone; each is handed out once. Raises OSError."""
    found: list[dict[str, object]] = []
    try:
        paths = sorted(_folder().iterdir())
    except FileNotFoundError:
        return []
    for path in paths:
        owner = read_identity(path.name.partition(".")[0])
        if owner is not None and owner.is_gone and (record := _taken(path)) is not None:
            found.append(record)
    return found


def _taken(path: Path) -> dict[str, object] | None:
    """The record in a file that this process alone has taken; None where another was first, or it holds none."""
    mine = path.with_name(f"taken-{own_identity()}.{path.name}")
    try:
        path.rename(mine)
    except FileNotFoundError:
        return None
    try:
        with mine.open("rb") as file:
            record = json.loads(file.read(_LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("the note of a command that another process began cannot be read: %s: %s", path.name, error)
        return None
    finally:
        mine.unlink(missing_ok=True)
    return record if isinstance(record, dict) else None


def _folder() -> Path:
    return settings.state_folder() / "open-commands"
