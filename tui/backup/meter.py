"""How far copying threads are, how fast they may be, and the order to stop; shared with whoever watches them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from tui.backup.errors import CancelledBackupError
from tui.backup.sparse_sum import ZeroSums

T = TypeVar("T")

PACE_LOOK_S = 0.5
"""Seconds after which a waiting thread looks for another rate."""


class Throttle:
    """A rate that copying threads keep to, changed at any time from another thread; 0 is unlimited."""

    def __init__(self, bytes_s: int = 0) -> None:
        self._bytes_s = bytes_s
        self._due = 0.0

    @property
    def bytes_s(self) -> int:
        """Bytes per second, 0 without a limit."""
        return self._bytes_s

    def set(self, bytes_s: int) -> None:
        """Change the rate; a debt from the former one is forgiven."""
        self._bytes_s, self._due = max(bytes_s, 0), 0.0

    def pause_s(self, count: int, now: float) -> float:
        """Seconds to wait before `count` bytes may be moved at monotonic second `now`."""
        if not self._bytes_s:
            return 0.0
        self._due = max(self._due, now) + count / self._bytes_s
        return self._due - now


@dataclass(slots=True)
class Debt:
    """What a backup's target owes: an answer from the monotonic second `since` on, None while it is asked nothing."""

    since: float | None = None


@dataclass(slots=True)
class Meter:
    """Shared between copying threads and their watcher: bytes done, holes skipped, and the order to stop.

    `full` while a thread waits for room on the target.
    """

    done: int = 0
    skipped: int = 0
    full: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    throttle: Throttle = field(default_factory=Throttle)
    debt: Debt = field(default_factory=Debt)
    zeros: ZeroSums = field(default_factory=ZeroSums)
    """What the readings of one disk and its copy know of the sums of its holes."""

    def uncounted(self) -> Meter:
        """A meter for work that is not part of the bytes to do: the same order to stop, the same target."""
        return Meter(stop=self.stop, debt=self.debt)

    def pace(self, count: int) -> None:
        """Let the time pass that the rate wants before `count` bytes, less where another rate is set meanwhile.

        Raises CancelledBackupError when the order to stop comes.
        """
        rate = self.throttle.bytes_s
        until = monotonic() + self.throttle.pause_s(count, monotonic())
        self.wait(0)
        while (left := until - monotonic()) > 0 and self.throttle.bytes_s == rate:
            self.wait(min(left, PACE_LOOK_S))

    def wait(self, seconds: float) -> None:
        """Let seconds pass; raises CancelledBackupError when the order to stop comes."""
        if self.stop.wait(seconds):
            raise CancelledBackupError("The backup was cancelled")

    def owe(self, slack_s: float | None) -> None:
        """The target owes an answer from now on, or in `slack_s` seconds; None where it owes nothing any more."""
        self.debt.since = None if slack_s is None else monotonic() + slack_s

    @contextmanager
    def asking(self, slack_s: float = 0) -> Iterator[None]:
        """The target is asked for something for as long as the block; `slack_s` seconds of it are no silence."""
        self.owe(slack_s)
        try:
            yield
        finally:
            self.owe(None)

    def each_asked(self, items: Iterable[T]) -> Iterator[T]:
        """Each of `items`, which are asked of the target one by one."""
        rest = iter(items)
        while True:
            with self.asking():
                item = next(rest, None)
            if item is None:
                return
            yield item
