"""Whether who left a mark still lives: by its process on this machine, by its sign of life on any other.

Two machines' clocks are not compared: a sign of life is fresh where it changes while one looks at it.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.mark import Kind, Owner, owner_words, read_mark
from tui.backup.plan import new_run_id
from tui.backup.runs import find_any_run, worker_alive
from tui.backup.session import HostSession
from tui.system.process_identity import own_identity, read_identity

BEAT_S = 10.0
"""Seconds between two signs of life."""
SILENCE_S = 25.0
"""Seconds without a change after which a sign of life is not fresh any more; longer than two beats."""
_LOOK_S = 0.5
_MACHINE_ID = Path("/etc/machine-id")


class Standing(StrEnum):
    """What is known of the process that left a mark."""

    NONE = "none"
    """There is no mark."""
    ALIVE = "alive"
    """It runs on this machine."""
    GONE = "gone"
    """It ran on this machine and has ended."""
    UNKNOWN = "unknown"
    """It is not of this machine, or not to be seen from here: only its sign of life tells."""


def own_owner(run_id: str, host: str, kind: Kind) -> Owner:
    """The holder that this process is, of a run; `host` is the hypervisor's name. Raises OSError."""
    uid = os.getuid()
    return Owner(
        run_id=run_id,
        host=host,
        kind=kind,
        token=f"{new_run_id()}{new_run_id()}",
        node=socket.gethostname(),
        machine=_machine(),
        user=_user_name(uid),
        uid=str(uid),
        process=str(own_identity()),
        processes=_process_namespace(),
        at=time.time(),
    )


def beaten(owner: Owner) -> Owner:
    """The same holder with its next sign of life."""
    return replace(owner, beat=owner.beat + 1, at=time.time())


def standing_of(owner: Owner | None) -> Standing:
    """What this machine knows of who left a mark; blocks."""
    if owner is None:
        return Standing.NONE
    process = read_identity(owner.process)
    if process is None or not process.boot:
        return Standing.UNKNOWN
    if process.boot != own_identity().boot:
        # A machine that was started again. Clones of one system share its machine-id, but not the name besides.
        is_here = bool(owner.machine) and (owner.machine, owner.node) == (_machine(), socket.gethostname())
        return Standing.GONE if is_here else Standing.UNKNOWN
    if not owner.processes or owner.processes != _process_namespace():
        return Standing.UNKNOWN
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return Standing.GONE
    except OSError:
        # Another user's: there it is, and /proc may hide it (proc(5), hidepid).
        pass
    try:
        state = Path(f"/proc/{process.pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return Standing.UNKNOWN
    return Standing.GONE if state in "ZX" or process.is_gone else Standing.ALIVE


def is_abandoned(mark: str) -> bool:
    """Whether a mark is proven to be of a run that has died, so that another one may take its place; blocks."""
    owner = read_mark(mark)
    standing = standing_of(owner)
    if owner is None or standing is Standing.ALIVE:
        return False
    if standing is Standing.GONE:
        return True
    run = find_any_run(owner.run_id)
    # The journal of a run of ours tells of processes of this machine alone.
    return run is not None and not worker_alive(run) and not (owner.is_signed and owner.machine != _machine())


async def refuse_living(session: HostSession, uuid: str, *, silence_s: float = SILENCE_S) -> str | None:
    """Return the guest's mark once it is known that nobody who shows signs of life holds the guest; None without one.

    Where the process cannot be looked for, its sign of life is watched for `silence_s`; so is whether one appears, for
    a holder whose mark was removed leaves it again. Raises BackupError where it is alive.
    """
    first = await session.ask(lambda host: host.run_metadata(uuid))
    owner = read_mark(first)
    standing = await asyncio.to_thread(standing_of, owner)
    if standing is Standing.ALIVE and owner is not None:
        raise _alive(owner)
    if standing is Standing.GONE:
        return first
    end = time.monotonic() + silence_s
    while time.monotonic() < end:
        await asyncio.sleep(min(_LOOK_S, silence_s))
        now = await session.ask(lambda host: host.run_metadata(uuid))
        if now != first:
            changed = read_mark(now) or owner
            raise _alive(changed) if changed is not None else BackupError("The guest's mark was taken off meanwhile")
    return first


def _alive(owner: Owner) -> BackupError:
    return BackupError(
        "Somebody else works on this guest",
        cause=owner_words(owner, time.time()),
        next_step="Wait for its end. Nothing was changed.",
    )


def _machine() -> str:
    try:
        return _MACHINE_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _process_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
