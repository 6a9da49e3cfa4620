"""The wish to do something with a backup, from whichever screen shows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.message import Message
from textual.screen import Screen

from tui.backup.restore.catalogue import FoundBackup, look_at
from tui.model.text import printable


class RestoreWanted(Message):
    """The user wants to do something with a backup that can be read."""

    def __init__(self, found: FoundBackup) -> None:
        super().__init__()
        self.found = found


def want_restore(screen: Screen[Any], found: FoundBackup) -> None:
    """Ask for what can be done with a backup, or tell why nothing can."""
    if found.saved is None:
        screen.notify(printable(found.trouble), title="It cannot be restored", severity="warning", markup=False)
    else:
        screen.post_message(RestoreWanted(found))


async def want_restore_of(screen: Screen[Any], folder: Path) -> None:
    """The same for the backup in a folder, as it is now."""
    want_restore(screen, await asyncio.to_thread(look_at, folder))
