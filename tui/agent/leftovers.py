"""What crashed runs left in a guest: found, ended and removed.

A run's folder names its owner; a folder whose owner is gone is swept. A handle that its owner could not close any
more pins a file in the agent until the agent restarts. The folder names those that waited with it; of others nobody
knows the number, so they are found by elimination.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tui.agent import exec_cmd as cmd
from tui.agent import exec_scripts as scripts
from tui.agent.commands import exec_status
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.exec_shell import ask
from tui.agent.files import close_handle, flush_handle, opened, position_of
from tui.agent.leftovers_look import OpenFile, look
from tui.agent.owner import is_abandoned
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport

_FIRST_HANDLE = 1000
_SCANNED_HANDLES = 10_000
"""How many of the latest handles are looked at; numbers only grow (qga/commands-posix.c)."""
_SETTLE_S = 1.0
"""Seconds for which a handle of a living client may be open at most: each is closed in the burst that opened it."""

HANG_UP = """
for d do
  p=$(cat "$d/pid" 2>/dev/null)
  if [ -n "$p" ] && { [ "/proc/$p/fd/1" -ef "$d/o" ] || [ "/proc/$p/fd/2" -ef "$d/e" ]; }; then
    kill -HUP "-$p" 2>/dev/null && echo "$p"
  fi
done
"""
"""Hang up the commands that still write into the folders; prints their pids.

As with a terminal that is gone: a command that is to live on ignores SIGHUP (nohup(1)).
"""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was done about the leftovers of crashed runs; `pinned` handles could not be told from other clients'."""

    folders: int = 0
    hung_up: tuple[str, ...] = ()
    closed: int = 0
    pinned: int = 0

    @property
    def did_something(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.folders or self.closed or self.pinned)


async def sweep_leftovers(transport: Transport, profile: GuestProfile) -> Sweep:
    """Remove what runs of this machine's dead processes left in a guest, of a POSIX guest also what is a day old.

    A no-op where a POSIX guest gives no shell or files. A Windows guest's commands are let run on, and keep their
    folders until then. Raises an `AgentError` where the agent stops answering.
    """
    if profile.is_windows and profile.runs_programs:
        return await _sweep_windows(transport)
    if not (profile.runs_programs and profile.offers_files):
        return Sweep()
    try:
        seen = await look(transport)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        # No shell, hence no folders either.
        return Sweep()
    hung_up: tuple[str, ...] = ()
    left = 0
    if seen.folders:
        ended = await ask(transport, scripts.SHELL, "-c", HANG_UP, scripts.SHELL, *seen.folders)
        hung_up = tuple(ended.out.decode("ascii", "replace").split())
        removed = await ask(transport, scripts.SHELL, "-c", scripts.REMOVE, scripts.SHELL, *seen.folders)
        left = len(removed.out.splitlines())
        await _forget(transport, hung_up)
    closed = sum([await close_handle(transport, handle) for handle in seen.handles])
    if len(seen.files) > closed:
        closed += await _close_leaked(transport)
    return Sweep(len(seen.folders) - left, hung_up, closed, pinned=max(0, len(seen.files) - closed))


async def _sweep_windows(transport: Transport) -> Sweep:
    try:
        said = await ask(transport, cmd.CMD, *cmd.switches(cmd.LIST))
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return Sweep()
    names = [name for name in said.out.decode("ascii", "replace").split() if is_abandoned(name)]
    left = 0
    for name in names:
        removed = await ask(transport, cmd.CMD, *cmd.switches(f"cd /d %TEMP%&&{cmd.remove(name)}"))
        left += bool(removed.out.strip())
    return Sweep(len(names) - left)


async def _forget(transport: Transport, pids: tuple[str, ...]) -> None:
    """Let the agent give back what it keeps of commands that nobody will ask for any more, where they have ended."""
    for pid in pids:
        try:
            await exec_status(transport, int(pid))
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            # An agent that was restarted has forgotten it already.
            continue


async def _close_leaked(transport: Transport) -> int:
    """Close the handles that dead runs left open and no folder names; how many were closed.

    Only those are closed that can be told from others': a handle is taken for a leaked one when it outlived every
    burst of a living client and stands where a leaked file stands, and when no more handles than leaked files stand
    there.
    """
    seen = await look(transport)
    newest = await _newest_handle(transport, seen.files)
    range_of_handles = range(max(_FIRST_HANDLE, newest - _SCANNED_HANDLES), newest)
    before = await _open_handles(transport, (each for each in range_of_handles if each not in seen.living))
    if not before:
        return 0
    await asyncio.sleep(_SETTLE_S)
    lasting = await _open_handles(transport, before)
    for handle in lasting:
        # Where the kernel stands is what /proc tells: a flush brings it to where the handle stands (fflush(3)).
        await flush_handle(transport, handle)
    leaked = Counter(file.position for file in (await look(transport)).files)
    standing = Counter(lasting.values())
    closed = 0
    for handle, position in lasting.items():
        if standing[position] <= leaked[position]:
            closed += await close_handle(transport, handle)
    return closed


async def _newest_handle(transport: Transport, leaked: Sequence[OpenFile]) -> int:
    """The number of a handle of our own, closed again; 0 where none of the leaked files is there any more.

    A leaked file is opened once more, by the agent's own descriptor: that takes no room in the guest, and of whoever
    is killed here the handle is found as one of theirs. Reading and writing, for nobody waits at a FIFO then.
    """
    for each in leaked:
        try:
            async with opened(transport, f"/proc/self/fd/{each.descriptor}", "r+") as file:
                return file.handle
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            # Another sweep has closed it.
            continue
    return 0


async def _open_handles(transport: Transport, handles: Iterable[int]) -> dict[int, int]:
    """Which of the handles are open, and where each stands, in bytes."""
    positions = [(handle, await position_of(transport, handle)) for handle in handles]
    return {handle: position for handle, position in positions if position is not None}
