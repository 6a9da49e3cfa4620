"""The runs of this user, look after look: one that has ended is read once, and one that goes on is only read on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.follow import Follower
from tui.backup.journal import JOURNAL
from tui.backup.plan import InvalidPlanError
from tui.backup.runs import AnyRun, open_any_run, run_folders
from tui.backup.runstate import RunState

_Stamp = tuple[int, ...]
"""What changes when anything is said of a run: a file replaced in its folder, or a line more in its journal."""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run and its state at the last look."""

    run: AnyRun
    state: RunState


class SeenRuns:
    """Remembers what the last look saw, so that the next one costs two questions for each run that has ended."""

    def __init__(self) -> None:
        self._following: dict[Path, tuple[AnyRun, Follower]] = {}
        self._resting: dict[Path, tuple[_Stamp, SeenRun | None]] = {}

    def look(self) -> tuple[SeenRun, ...]:
        """All runs as they stand now, newest first; folders without a readable plan are left out. Blocks."""
        folders = run_folders()
        for gone in (self._following.keys() | self._resting.keys()) - set(folders):
            self._following.pop(gone, None)
            self._resting.pop(gone, None)
        found = [seen for folder in folders if (seen := self._look_at(folder)) is not None]
        return tuple(sorted(found, key=lambda seen: (seen.run.plan.stamp, seen.run.plan.run_id), reverse=True))

    def _look_at(self, folder: Path) -> SeenRun | None:
        # The stamp is taken first: what comes after it is seen by the next look.
        stamp = _stamp(folder)
        before, seen = self._resting.get(folder, (None, None))
        if before == stamp:
            return seen
        if (followed := self._following.pop(folder, None) or _opened(folder)) is None:
            self._resting[folder] = (stamp, None)
            return None
        run, follower = followed
        seen = SeenRun(run, follower.read())
        if seen.state.ended:
            self._resting[folder] = (stamp, seen)
        else:
            self._resting.pop(folder, None)
            self._following[folder] = followed
        return seen


def _opened(folder: Path) -> tuple[AnyRun, Follower] | None:
    try:
        run = open_any_run(folder)
    except (BackupError, InvalidPlanError):
        return None
    return run, Follower(run)


def _stamp(folder: Path) -> _Stamp:
    stamp: _Stamp = ()
    try:
        stamp = (folder.stat().st_mtime_ns,)
        journal = (folder / JOURNAL).stat()
    except OSError:
        return stamp
    return *stamp, journal.st_mtime_ns, journal.st_size
