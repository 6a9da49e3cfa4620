"""Watching a run from any process: its journal and progress, read as they grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tui.backup.journal import ENTRY_LIMIT, JOURNAL, read_entry, read_object
from tui.backup.progress import PROGRESS
from tui.backup.runfold import first_state, with_entry, with_progress, without_worker
from tui.backup.runs import AnyRun, worker_alive
from tui.backup.runstate import RunState

POLL_S = 0.25
READ_LIMIT = 1024 * 1024
"""Bytes taken from a file at once."""


class _Tail:
    """The complete lines that a growing file got since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> list[str]:
        lines: list[str] = []
        limit = READ_LIMIT
        while piece := self._piece(limit):
            end = piece.rfind(b"\n") + 1
            if end:
                lines += piece[:end].decode("utf-8", "replace").splitlines()
            elif len(piece) < limit:
                break
            elif limit < ENTRY_LIMIT + READ_LIMIT:
                limit += READ_LIMIT
                continue
            # A line that nobody would write is passed by, so that it hides none behind it.
            self._offset += end or len(piece)
            limit = READ_LIMIT
        return lines

    def _piece(self, limit: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""


class Follower:
    """A run's state, brought up to date by reading what is new."""

    def __init__(self, run: AnyRun) -> None:
        self._run = run
        self._journal = _Tail(run.folder / JOURNAL)
        self._progress = _Tail(run.folder / PROGRESS)
        self.state = first_state(run.plan)

    def read(self) -> RunState:
        """The state now."""
        # Whether the worker lives is asked first: what it wrote before it ended is then certainly read.
        alive = worker_alive(self._run)
        for line in self._progress.lines():
            self.state = with_progress(self.state, read_object(line) or {})
        for line in self._journal.lines():
            entry = read_entry(line)
            if entry is not None:
                self.state = with_entry(self.state, entry)
        if not alive:
            self.state = without_worker(self.state)
        return self.state


def read_state(run: AnyRun) -> RunState:
    """The state of a run now."""
    return Follower(run).read()


async def follow(run: AnyRun) -> AsyncIterator[RunState]:
    """Every new state of a run, the present one first, until it has ended; leaving has no effect on the run."""
    folding = Follower(run)
    shown: RunState | None = None
    while True:
        state = await asyncio.to_thread(folding.read)
        if state != shown:
            shown = state
            yield state
        if state.ended:
            return
        await asyncio.sleep(POLL_S)
