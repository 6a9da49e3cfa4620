"""Remembers which system a guest's agent named, for the day on which it names nothing any more."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tui import settings
from tui.hosts.lanes import Lane

_LIMIT = 4096
_KEPT = 200
"""Characters of a name that are kept: it is the guest's text."""
_writing = Lane("known-systems", 1)


@dataclass(frozen=True, slots=True)
class KnownSystem:
    """What the agent said, and on which day (ISO 8601)."""

    id: str
    name: str
    day: str


def _folder() -> Path:
    return settings.state_folder() / "systems"


def _file(uuid: str) -> Path | None:
    return _folder() / f"{uuid}.json" if uuid.replace("-", "").isalnum() else None


def recall(uuid: str) -> KnownSystem | None:
    """What a guest's agent last said, None where it never spoke to this user."""
    path = _file(uuid)
    return None if path is None else _read(path)


def _read(path: Path) -> KnownSystem | None:
    try:
        raw = json.loads(path.read_text("utf-8")[:_LIMIT])
        return KnownSystem(str(raw["id"]), str(raw["name"]), str(raw["day"])) if raw else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember_soon(uuid: str, system_id: str, name: str) -> None:
    """Keep what an agent said, without waiting for the disk; one that cannot be written costs only this comfort."""
    path = _file(uuid)
    if path is not None:
        _writing.put(lambda: _remember(path, system_id[:_KEPT], (name or system_id)[:_KEPT]))


def _remember(path: Path, system_id: str, name: str) -> None:
    said = KnownSystem(system_id, name, time.strftime("%Y-%m-%d"))
    if _read(path) == said:
        return
    try:
        settings.private_folder(path.parent)
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, settings.PRIVATE_FILE), "w") as file:
            json.dump({"id": said.id, "name": said.name, "day": said.day}, file)
        new.replace(path)
    except (OSError, ValueError):
        return
