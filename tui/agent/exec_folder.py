"""The private folder of a streamed run in the guest: made for a command, or ahead of it with its pumps waiting."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tui.agent import exec_scripts as scripts
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.exec_shell import ask
from tui.agent.exec_source import NotStreamableError
from tui.agent.files import opened
from tui.agent.owner import run_folder_name
from tui.agent.transport import Transport

_MARGIN_S = 120.0
"""Seconds before the end of a waiting folder in which it is not used any more."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder in the guest, for one command that runs in `cwd`.

    `holder` is the process that keeps its pumps waiting, empty where they are started with the command. `made_at` is
    the event loop's time, in seconds.
    """

    path: str
    cwd: str
    holder: str
    made_at: float

    @property
    def is_fresh(self) -> bool:
        """Whether its pumps wait for long enough still."""
        age = asyncio.get_running_loop().time() - self.made_at
        return bool(self.holder) and age < scripts.KEPT_READY_S - _MARGIN_S


async def make_folder(transport: Transport, cwd: str, *, is_fed: bool = False, ahead: bool = False) -> RunFolder:
    """Make a folder; raises NotStreamableError where that cannot be, CommandFailedError for a missing `cwd`.

    `ahead` lets pumps wait in it for a command that comes later, where the guest can do that.
    """
    made_at = asyncio.get_running_loop().time()
    words = (cwd, run_folder_name(), "i" if is_fed else "", scripts.PUMP if ahead else "")
    try:
        made = await ask(transport, scripts.SHELL, "-c", scripts.PREPARE, scripts.SHELL, *words)
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        raise NotStreamableError(f"the guest has no {scripts.SHELL}") from error
    said, _, holder = made.out.decode("utf-8", "replace").rstrip("\n").partition("\n")
    match made.exit_code:
        case 0 if said.startswith("/") and said.isprintable():
            return RunFolder(said, cwd, holder if holder.isdecimal() else "", made_at)
        case scripts.NO_CWD:
            raise CommandFailedError(
                "The command was not started",
                cause=f"the guest has no folder {cwd!r}",
                original=made.err.decode("utf-8", "replace").strip(),
            )
        case scripts.NO_TOOL:
            raise NotStreamableError(f"the guest has no {said}")
        case _:
            raise NotStreamableError("no temporary folder could be made in the guest")


async def is_there(transport: Transport, folder: RunFolder) -> bool:
    """Whether a folder that was made ahead still waits: a reboot or a cleaner may have removed it."""
    if not folder.is_fresh:
        return False
    try:
        async with opened(transport, f"{folder.path}/end", "r"):
            return True
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return False


async def remove_folder(transport: Transport, folder: RunFolder) -> None:
    """Remove a folder, in one attempt; what still writes is read by its pump and forgotten."""
    removed = await ask(transport, scripts.SHELL, "-c", scripts.REMOVE, scripts.SHELL, folder.path)
    if removed.out:
        raise CommandFailedError(f"{folder.path} was left in the guest", cause="it could not be removed")
