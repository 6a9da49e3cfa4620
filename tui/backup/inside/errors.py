"""Why a backup's disk cannot be looked into."""

from __future__ import annotations

from tui.backup.errors import BackupError


class InsideError(BackupError):
    """A disk or a file system cannot be read; nothing was changed."""


class NeedsCopyError(InsideError):
    """The disk can be read only from a temporary copy, for which the user has to be asked.

    `needed` bytes it will take at most, `free` are there in `place`.
    """

    def __init__(self, why: str, needed: int, free: int, place: str) -> None:
        super().__init__("The disk can be read only from a temporary copy", cause=why)
        self.needed = needed
        self.free = free
        self.place = place

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        return self.needed < self.free
