"""How far a running backup is: lines for whoever watches, lost without harm."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tui.settings import PRIVATE_FILE

PROGRESS = "progress.jsonl"
RATE_WINDOW_S = 5.0


class Step(StrEnum):
    """The parts of a run that a user sees."""

    PREPARE = "prepare"
    FREEZE = "freeze"
    COPY = "copy"
    VERIFY = "verify"
    COMMIT = "commit"
    TIDY = "tidy"
    STOP = "stop"
    PLACE = "place"
    DEFINE = "define"
    BOOT = "boot"


BACKUP_STEPS = (Step.PREPARE, Step.FREEZE, Step.COPY, Step.VERIFY, Step.COMMIT, Step.TIDY)


class StepStatus(StrEnum):
    """Where one step stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RateMeter:
    """Bytes per second over the last five seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, now: float, done: int) -> float:
        """Take in that `done` bytes were done at monotonic second `now`, and return the rate."""
        self._seen.append((now, done))
        while self._seen[0][0] < now - RATE_WINDOW_S:
            self._seen.popleft()
        (then, before) = self._seen[0]
        return (done - before) / (now - then) if now > then and done > before else 0.0


class Progress:
    """Appends to the progress file in a run's folder."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(folder / PROGRESS, flags, PRIVATE_FILE)
        self._meters: dict[tuple[Step, str, str], RateMeter] = {}
        self._during: Step | None = None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def step(self, step: Step, status: StepStatus) -> None:
        """Tell that a step began or ended."""
        self._line(step=step, status=status)

    @contextmanager
    def during(self, step: Step) -> Iterator[None]:
        """A step that runs for as long as the block, and fails with it."""
        self.step(step, StepStatus.RUNNING)
        self._during = step
        try:
            yield
        except BaseException:
            self.step(step, StepStatus.FAILED)
            raise
        finally:
            self._during = None
        self.step(step, StepStatus.DONE)

    def turn(self, behind: str) -> None:
        """Tell behind whose backups this one waits for its turn; nobody's once that has come."""
        self._line(waits_behind=behind)

    def cancelling(self) -> None:
        """Tell that the order to cancel was given."""
        self._line(cancelling=True)

    def doing(self, step: Step, words: str) -> None:
        """Tell what a step is about while it counts no bytes."""
        self._line(step=step, doing=words)

    def waiting(self, words: str) -> None:
        """Tell what the step that runs waits for; nothing once it goes on."""
        if self._during is not None:
            self.doing(self._during, words)

    def tick(self, step: Step, disk: str, done: int, total: int, *, waiting: str = "", skipped: int = 0) -> None:
        """Tell how many bytes of a disk are done; `total` is never told below `done`.

        `skipped` are the bytes of holes that were passed over so far.
        `growth` is how fast the total grows, which for a commit is what the guest writes meanwhile.
        """
        now = time.monotonic()
        rate = self._rate((step, disk, "done"), now, done)
        growth = self._rate((step, disk, "total"), now, total)
        told = {"done": done, "total": max(total, done), "skipped": skipped, "rate": rate, "growth": growth}
        self._line(step=step, disk=disk, **told, waiting=waiting)

    def overlay(self, disk: str, size: int, free: int) -> None:
        """Tell how large the overlay of a disk has grown, and how much room is left beside it, in bytes."""
        rate = self._rate((Step.COPY, disk, "overlay"), time.monotonic(), size)
        self._line(overlay=disk, bytes=size, rate=rate, free=free)

    def _rate(self, key: tuple[Step, str, str], now: float, count: int) -> int:
        return round(self._meters.setdefault(key, RateMeter()).rate(now, count))

    def _line(self, **values: object) -> None:
        line = json.dumps({"at": round(time.time(), 3), **values}) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            # A full disk must not end a backup that only wanted to tell how it goes.
            return
