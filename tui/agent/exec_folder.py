"""The private folder of a streamed run in the guest: made for a command, or ahead of it with its pumps waiting."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, replace

from tui.agent import exec_scripts as scripts
from tui.agent.commands import exec_start, exec_status
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError
from tui.agent.exec_shell import ask
from tui.agent.exec_source import START_TIMEOUT_S, NotStreamableError
from tui.agent.files import opened
from tui.agent.owner import run_folder_name
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
_TEXT_LIMIT = 16 * 1024
"""Bytes of a command that a runner is given: a FIFO takes four times as much at once."""
_RUNNER_ENDS_S, _PAUSE_S = 1.0, 0.05
_MARGIN_S = 120.0
"""Seconds before the end of a waiting folder in which it is not used any more."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder in the guest, for one command that runs in `cwd`.

    `runner` is the pid of a shell that waits in it with its pumps to become the command; 0 where they are started with
    it. `made_at` is the event loop's time, in seconds.
    """

    path: str
    cwd: str
    made_at: float
    runner: int = 0

    @property
    def is_fresh(self) -> bool:
        """Whether the runner waits for long enough still."""
        age = asyncio.get_running_loop().time() - self.made_at
        return bool(self.runner) and age < scripts.KEPT_READY_S - _MARGIN_S


async def make_folder(transport: Transport, cwd: str, *, is_fed: bool = False) -> RunFolder:
    """Make a folder; raises NotStreamableError where that cannot be, CommandFailedError for a missing `cwd`."""
    return (await _made(transport, cwd, is_fed=is_fed, pump=""))[0]


async def make_folder_ahead(transport: Transport, cwd: str) -> RunFolder:
    """Make a folder in which a shell waits to become the command, where the guest can do that; raises as above."""
    folder, holder = await _made(transport, cwd, is_fed=False, pump=scripts.PUMP)
    if not holder:
        return folder
    words = (scripts.SHELL, "-c", scripts.WAITING, scripts.SHELL, folder.path, holder)
    try:
        runner = await exec_start(transport, "setsid", words, capture=False, timeout_s=START_TIMEOUT_S)
    except AgentError:
        await remove_folder(transport, folder)
        raise
    return replace(folder, runner=runner)


async def begin(transport: Transport, folder: RunFolder, text: bytes) -> bool:
    """Let the runner become the command `text`; false where nobody waits in the folder any more, and nothing began."""
    if not folder.is_fresh or len(text) > _TEXT_LIMIT:
        return False
    mark = secrets.token_hex(8).encode("ascii") + b"\n"
    try:
        if (await exec_status(transport, folder.runner)).exited:
            return False
        async with opened(transport, f"{folder.path}/go", "r+") as go:
            await go.write(mark + text + mark)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        # The agent or the guest was restarted, or a cleaner of old files was here.
        return False
    return True


async def _made(transport: Transport, cwd: str, *, is_fed: bool, pump: str) -> tuple[RunFolder, str]:
    """A folder, and who holds its FIFOs open for pumps that wait, if they do."""
    made_at = asyncio.get_running_loop().time()
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
            return RunFolder(said, cwd, made_at), holder if holder.isdecimal() else ""
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


async def release(transport: Transport, folder: RunFolder) -> None:
    """Remove a folder in which no command was begun, and let the agent forget its runner."""
    await remove_folder(transport, folder)
    try:
        async with asyncio.timeout(_RUNNER_ENDS_S):
            while folder.runner and not (await exec_status(transport, folder.runner)).exited:  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        _log.info("pid %s still waits in the guest", folder.runner)
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        # An agent that was restarted has forgotten it already.
        _log.info("pid %s: %s", folder.runner, error.one_line())
