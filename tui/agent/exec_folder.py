"""The private folder of a streamed run in the guest."""

from __future__ import annotations

from dataclasses import dataclass

from tui.agent import exec_scripts as scripts
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.exec_shell import ask
from tui.agent.exec_source import NotStreamableError
from tui.agent.owner import run_folder_name
from tui.agent.transport import Transport


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder in the guest, for one command that runs in `cwd`.

    `holder` is the pid of who holds its FIFOs open for pumps that wait; empty where the pumps come with the command.
    """

    path: str
    cwd: str
    holder: str = ""


async def make_folder(transport: Transport, cwd: str, *, is_fed: bool = False, pump: str = "") -> RunFolder:
    """Make a folder; with a text `pump`, pumps wait in it already where the guest can do that.

    Raises NotStreamableError where no folder can be made, CommandFailedError for a missing `cwd`.
    """
    words = (cwd, run_folder_name(), "i" if is_fed else "", pump)
    try:
        made = await ask(transport, scripts.SHELL, "-c", scripts.PREPARE, scripts.SHELL, *words)
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        raise NotStreamableError(f"the guest has no {scripts.SHELL}") from error
    said, _, holder = made.out.decode("utf-8", "replace").rstrip("\n").partition("\n")
    match made.exit_code:
        case 0 if said.startswith("/") and said.isprintable():
            return RunFolder(said, cwd, holder if holder.isdecimal() else "")
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


async def remove_folder(transport: Transport, folder: RunFolder) -> None:
    """Remove a folder, in one attempt; what still writes is read by its pump and forgotten."""
    removed = await ask(transport, scripts.SHELL, "-c", scripts.REMOVE, scripts.SHELL, folder.path)
    if removed.out:
        raise CommandFailedError(f"{folder.path} was left in the guest", cause="it could not be removed")
