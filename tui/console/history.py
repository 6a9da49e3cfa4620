"""The lines typed for one guest, kept across runs."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

from tui import settings

KEPT = 2_000
"""Lines that are read back; the file is rewritten when it holds twice as many."""
_READ_BYTES = 4 * 1024 * 1024
_UUID = re.compile(r"[0-9a-fA-F-]{8,64}")
_log = logging.getLogger(__name__)


class History:
    """Oldest first. Lines that start with a space are not kept, the same one twice in a row is kept once.

    A file that cannot be read or written leaves a history of this run alone.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` of the file, None for none."""
        self._path = path
        self._lines: list[str] = []
        if path is not None:
            self._lines = _read(path)

    @classmethod
    def of(cls, uuid: str) -> History:
        """The history of the guest with this UUID."""
        return cls(settings.state_folder() / "history" / uuid if _UUID.fullmatch(uuid) else None)

    @property
    def lines(self) -> tuple[str, ...]:
        """What was typed."""
        return tuple(self._lines)

    def add(self, line: str) -> None:
        """Keep a line."""
        if not line.strip() or line.startswith(" ") or self._lines[-1:] == [line]:
            return
        self._lines.append(line)
        if self._path is None:
            return
        try:
            settings.append_private(self._path, json.dumps(line) + "\n")
        except OSError as error:
            _log.warning("the history could not be written: %s", error)

    def matching(self, words: str) -> list[str]:
        """The lines with all of the words, newest first, each once."""
        wanted = words.casefold().split()
        newest = dict.fromkeys(reversed(self._lines))
        return [line for line in newest if all(word in line.casefold() for word in wanted)]


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _READ_BYTES))
            raw = file.read(_READ_BYTES).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("the history could not be read: %s", error)
        return []
    lines = [line for line in map(_line, raw) if line]
    if len(lines) > 2 * KEPT:
        _rewrite(path, lines[-KEPT:])
    return lines[-KEPT:]


def _line(raw: str) -> str:
    try:
        line = json.loads(raw)
    except ValueError:
        return ""
    return line if isinstance(line, str) else ""


def _rewrite(path: Path, lines: list[str]) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        settings.append_private(fresh, "".join(json.dumps(line) + "\n" for line in lines))
        fresh.replace(path)
    except OSError as error:
        _log.warning("the history could not be shortened: %s", error)
