"""Guests that wait for their backup behind others: a file for each program that works a list off, gone with it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tui.backup.durable import read_text, replace_file
from tui.backup.journal import read_object
from tui.backup.runs import living_pid, process_mark
from tui.settings import private_folder, state_folder

LIST_LIMIT = 64 * 1024
"""Bytes of one list."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The guests, as they were named, that a living process still has to back up, in their order."""

    pid: int
    guests: tuple[str, ...]


class Waitlist:
    """A context in which the guests that were not begun yet are on the list; raises OSError at its entry."""

    def __init__(self, guests: tuple[str, ...]) -> None:
        self._guests = guests
        self._path = private_folder(lists_folder()) / f"{os.getpid()}.json"

    def __enter__(self) -> Self:
        for path in lists_folder().glob("*.json"):
            if living_pid(_read(path)) is None:
                path.unlink(missing_ok=True)
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)

    def begin(self, guest: str) -> None:
        """Take a guest off the list, for its own backup is begun; raises OSError."""
        self._guests = tuple(each for each in self._guests if each != guest)
        self._write()

    def _write(self) -> None:
        mark = process_mark(os.getpid())
        if mark is not None:
            values = {"pid": mark.pid, "started": mark.started, "boot": mark.boot, "guests": list(self._guests)}
            replace_file(self._path, json.dumps(values))


def lists_folder() -> Path:
    """Where the lists are kept."""
    return state_folder() / "waitlists"


def waiting_guests() -> tuple[Waiting, ...]:
    """The lists of living processes with somebody on them, oldest process number first."""
    found: list[Waiting] = []
    for path in lists_folder().glob("*.json"):
        raw = _read(path)
        pid = living_pid(raw)
        guests = raw.get("guests") if raw is not None else None
        if pid is not None and isinstance(guests, list) and guests:
            found.append(Waiting(pid, tuple(str(guest) for guest in guests)))
    return tuple(sorted(found, key=lambda each: each.pid))


def _read(path: Path) -> dict[str, object] | None:
    try:
        return read_object(read_text(path, LIST_LIMIT))
    except OSError:
        return None
