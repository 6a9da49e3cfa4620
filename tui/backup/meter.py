"""How far copying threads are, how fast they may be, and the order to stop; shared with whoever watches them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tui.backup.errors import CancelledBackupError


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
class Meter:
    """Shared between copying threads and their watcher: bytes done, holes skipped, and the order to stop.

    `full` while a thread waits for room on the target.
    """

    done: int = 0
    skipped: int = 0
    full: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    throttle: Throttle = field(default_factory=Throttle)

    def wait(self, seconds: float) -> None:
        """Let seconds pass; raises CancelledBackupError when the order to stop comes."""
        if self.stop.wait(seconds):
            raise CancelledBackupError("The backup was cancelled")
