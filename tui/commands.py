"""One table of what a user can do; key bindings, palette, help and the README's table are made from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Where(StrEnum):
    """The screen on which a command means something."""

    ANYWHERE = "anywhere"
    GUESTS = "guest list"
    CONSOLE = "console"
    BACKUP = "backup"


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

    @property
    def action(self) -> str:
        """The name of the action method that carries the command out, without `action_`."""
        return self.id.partition(".")[2].replace("-", "_")


COMMANDS: tuple[Command, ...] = (
    Command("app.help", Where.ANYWHERE, ("question_mark", "f1"), "Help", "Show what the keys do on this screen"),
    Command("app.quit", Where.ANYWHERE, ("ctrl+q",), "Quit", "Leave; backups go on by themselves", footer=False),
    Command("guests.console", Where.GUESTS, ("enter", "x"), "Console", "Run commands in the guest under the cursor"),
    Command(
        "guests.backup", Where.GUESTS, ("b",), "Backup", "Back the guest up while it runs, or see its running backup"
    ),
    Command("guests.ping", Where.GUESTS, ("r",), "Ping", "Ask the agent under the cursor now, and read the list anew"),
    Command("guests.down", Where.GUESTS, ("j",), "Down", "Move the cursor down", footer=False),
    Command("guests.up", Where.GUESTS, ("k",), "Up", "Move the cursor up", footer=False),
    Command("guests.quit", Where.GUESTS, ("q",), "Quit", "Leave; backups go on by themselves"),
    Command(
        "console.cancel",
        Where.CONSOLE,
        ("ctrl+c",),
        "Cancel",
        "Copy the selection if there is one, else end the running command and its children",
    ),
    Command("console.back", Where.CONSOLE, ("escape",), "Back", "Back to the list; a running command runs on"),
    Command("backup.back", Where.BACKUP, ("escape",), "Back", "One step back; a running backup runs on"),
)


def commands_on(where: Where) -> tuple[Command, ...]:
    """The commands of one screen, in the order in which they are shown."""
    return tuple(command for command in COMMANDS if command.where is where)
