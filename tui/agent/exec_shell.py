"""Short questions to a POSIX guest's shell, and the processes of a command: who is left, and who is to be forgotten."""

from __future__ import annotations

import asyncio
import logging

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start, exec_status
from tui.agent.errors import CommandFailedError, CommandUnavailableError, UnansweredError
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
ANSWER_S = 15.0
"""Seconds within which a script of ours must have ended."""
_PAUSE_S = 0.01
_ENDS_S, _LOOK_AGAIN_S = 1.0, 0.05
_LONGEST_PAUSE_S = 0.2


async def ask(transport: Transport, path: str, *args: str, within_s: float = ANSWER_S) -> ExecStatus:
    """Run a short program of ours to its end with its output captured.

    Raises `UnansweredError` when it has not ended within `within_s` seconds, and what the agent's commands raise.
    """
    loop = asyncio.get_running_loop()
    pid = await exec_start(transport, path, args, capture=True)
    deadline = loop.time() + within_s
    pause = _PAUSE_S
    while not (status := await exec_status(transport, pid)).exited:
        if loop.time() > deadline:
            raise UnansweredError(
                f"{path} did not end in the guest",
                cause=f"it runs for more than {within_s:.0f} s as pid {pid}",
                next_step="See what keeps the guest busy.",
            )
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
    return status


async def survivors(transport: Transport, pid: int, *, leads_group: bool, signal_name: str = "") -> tuple[str, ...]:
    """Send a signal, if one is named, to a command and say who of it is still there, as `PID (NAME)` each.

    A command that does not lead a group is looked at alone, without its children.
    """
    script = scripts.GROUP if leads_group else scripts.ONE_PROCESS
    status = await ask(transport, scripts.SHELL, "-c", script, scripts.SHELL, signal_name, str(pid))
    return tuple(status.out.decode("utf-8", "replace").splitlines())


async def still_runs(transport: Transport, folder: str, pid: int) -> bool:
    """Whether a streamed command runs, as the guest says where its agent has forgotten it."""
    return (
        await ask(transport, scripts.SHELL, "-c", scripts.STILL_RUNS, scripts.SHELL, folder, str(pid))
    ).exit_code == 0


async def end_windows_tree(transport: Transport, pid: int) -> None:
    """End a Windows command with its children; whether it ended is for its status to say."""
    await ask(transport, "taskkill.exe", "/PID", str(pid), "/T", "/F")


async def windows_survivors(transport: Transport, pid: int) -> tuple[str, ...]:
    """Name and pid of a Windows command that is still there."""
    said = await ask(transport, "tasklist.exe", "/FI", f"PID eq {pid}", "/NH")
    is_there = str(pid).encode("ascii") in said.out
    return tuple(said.out.decode("ascii", "replace").split()[:2]) if is_there else ()


async def forget(transport: Transport, pid: int) -> None:
    """Let the agent give back what it keeps of a process that ends by itself, or has ended."""
    try:
        async with asyncio.timeout(_ENDS_S):
            while not (await exec_status(transport, pid)).exited:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_AGAIN_S)
    except TimeoutError:
        _log.info("pid %s still waits in the guest", pid)
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        # An agent that was restarted has forgotten it already.
        _log.info("pid %s: %s", pid, error.one_line())
