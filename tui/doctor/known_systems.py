"""Remembers which system a guest's agent named, for the day on which it names nothing any more."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tui import settings
from tui.agent.commands import OsInfo

_LIMIT = 4096
_KEPT = 200
"""Characters of a name that are kept: it is the guest's text."""


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
    try:
        raw = json.loads(path.read_text("utf-8")[:_LIMIT]) if path is not None else None
        return KnownSystem(str(raw["id"]), str(raw["name"]), str(raw["day"])) if raw else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(uuid: str, system: OsInfo) -> None:
    """Keep what an agent said; a state folder that cannot be written costs only this comfort."""
    path, before = _file(uuid), recall(uuid)
    name = (system.pretty_name or system.name or system.id)[:_KEPT]
    said = KnownSystem(system.id[:_KEPT], name, time.strftime("%Y-%m-%d"))
    if path is None or said == before:
        return
    try:
        settings.private_folder(path.parent)
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, settings.PRIVATE_FILE), "w") as file:
            json.dump({"id": said.id, "name": said.name, "day": said.day}, file)
        new.replace(path)
    except OSError:
        return
