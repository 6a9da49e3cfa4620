"""The journal of a run: one durable line before every act that a crash would leave half done."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tui.backup.durable import append_durably
from tui.backup.values import a_time

JOURNAL = "journal.jsonl"
LINE_LIMIT = 64 * 1024
"""Characters of a line in a file that anybody may have written."""
ENTRY_LIMIT = 16 * 1024 * 1024
"""Characters of an entry: a guest may have a hundred disks and more, each with a chain of images."""


class RunStage(StrEnum):
    """How far a run has come; each is written before the acts it stands for. A restore has stages of its own."""

    PLANNED = "planned"
    FREEZING = "freezing"
    SNAPSHOT_TAKEN = "snapshot-taken"
    COPIED = "copied"
    COMMITTING = "committing"
    REVIVING = "reviving"
    """The guest was found off: it is started with its processors stopped, merged, and put off again."""
    PIVOTING = "pivoting"
    """A disk is ready and about to be switched to its base; with the stored definition's word before that."""
    PIVOTED = "pivoted"
    DONE = "done"
    FAILED = "failed"
    VOID = "void"
    """The copy is worth nothing; the guest still has to come back from its overlays."""
    NOTICED = "noticed"
    """Somebody else changed the guest meanwhile: what was seen. It is no step of the run."""
    COPYING = "copying"
    """A restore: files are written under names of their own; nothing that was there is touched."""
    MOVING = "moving"
    """A restore: every copy is whole; former files are moved aside, the copies get their names."""
    DEFINING = "defining"
    """A restore: the files are in their places; the guest is defined, or given its disk."""
    TESTING = "testing"
    """A boot test: the guest runs without network and is asked; all of it is removed afterwards."""
    UNDOING = "undoing"
    """A restore: the former state is put back."""
    UNDONE = "undone"


ENDED = frozenset({RunStage.DONE, RunStage.FAILED, RunStage.UNDONE})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: `at` is the Unix time in seconds, `details` whatever the stage has to tell."""

    at: float
    stage: RunStage
    details: Mapping[str, object] = field(default_factory=dict)


class Journal:
    """Appends to the journal in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL

    def write(self, stage: RunStage, **details: object) -> None:
        """Record a stage durably, file and folder; raises OSError, also for what could not be read back."""
        line = json.dumps({"at": time.time(), "stage": stage, "details": details})
        if len(line) > ENTRY_LIMIT:
            raise OSError(errno.EFBIG, "an entry of the journal is too long", str(self._path))
        append_durably(self._path, line)


def read_entry(line: str) -> Entry | None:
    """One line of a journal; None for a torn or foreign one."""
    raw = read_object(line, ENTRY_LIMIT)
    if raw is None or raw.get("stage") not in list(RunStage):
        return None
    try:
        at = a_time(raw.get("at"))
    except ValueError:
        return None
    details = raw.get("details")
    return Entry(at, RunStage(str(raw["stage"])), details if isinstance(details, dict) else {})


def read_object(line: str, limit: int = LINE_LIMIT) -> dict[str, object] | None:
    """A JSON object on one line of bounded length, None for anything else."""
    if len(line) > limit:
        return None
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def read_journal(folder: Path) -> tuple[Entry, ...]:
    """All entries of a run; lines torn by a crash are left out. Empty where there is no journal."""
    try:
        text = (folder / JOURNAL).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ()
    return tuple(entry for line in text.splitlines() if (entry := read_entry(line)) is not None)
