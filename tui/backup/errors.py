"""How a backup can fail, one class per state in which it leaves the guest."""

from __future__ import annotations

from dataclasses import dataclass

from tui.model.errors import ExplainedError

TEXT_LIMIT = 4000


class BackupError(ExplainedError):
    """A backup did not do what it was asked to; the guest runs, or can run, on its own images."""


class CancelledBackupError(BackupError):
    """The user ended the backup."""


class NeedsRescueError(BackupError):
    """A guest was left on an overlay, or frozen; nothing is lost as long as nobody deletes anything."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An ExplainedError as a value that goes through JSON."""

    title: str
    cause: str = ""
    next_step: str = ""
    original: str = ""


def explained(error: BaseException) -> Explained:
    """The words of an error; one that is not meant for users is named by its class and text."""
    if isinstance(error, ExplainedError):
        words = (error.title, error.cause, error.next_step, error.original)
        return Explained(*(text[:TEXT_LIMIT] for text in words))
    if isinstance(error, OSError):
        return Explained(
            f"{error.strerror or 'Input or output failed'}: {error.filename or ''}".rstrip(": "), original=repr(error)
        )
    return Explained("The backup met an error of its own", cause=f"{type(error).__name__}: {error}"[:TEXT_LIMIT])
