"""What a command is: something a user can do on a screen, by keys or by its name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Where(StrEnum):
    """The screen on which a command means something."""

    ANYWHERE = "anywhere"
    GUESTS = "guest list"
    DETAILS = "details"
    CONSOLE = "console"
    MANY = "many guests"
    BACKUP = "backup"
    DOCTOR = "doctor"
    ROUNDS = "all verdicts"
    JOBS = "backups"
    RESCUE = "rescue"
    RESTORES = "found backups"
    VERIFY = "verify"
    RESTORE = "restore"
    RESTORE_RUN = "running restore"
    INSIDE = "look inside"


@dataclass(frozen=True, slots=True)
class Command:
    """Something a user can do.

    `id` is what a keymap names and, with `.` as `_`, the name of the screen's action; `keys` are Textual's key names,
    the first one being the one that is shown; `footer` tells whether the key is worth a place in the footer.
    """

    id: str
    where: Where
    keys: tuple[str, ...]
    label: str
    help: str
    footer: bool = True
    changes: bool = False

    @property
    def action(self) -> str:
        """The name of the action method that carries the command out, without `action_`."""
        return self.id.partition(".")[2].replace("-", "_")
