"""A worker that stops at a chosen moment until it is told to go on, and the program that launches it for a backup."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.live.backup_process import WATCHDOG, connect, launch_and_wait
from tui.backup import landing, snapshot
from tui.backup.capture import Capture
from tui.backup.journal import Journal, RunStage
from tui.backup.restore import boot_test, files
from tui.backup.session import Patience
from tui.backup.worker import run_worker
from tui.hosts.libvirt_host import LibvirtHost

HELD, GO = "held", "go"
STAGES = tuple(str(stage) for stage in RunStage if stage is not RunStage.FAILED)
MOMENTS = (
    "planned",
    "freezing",
    "frozen",
    "snapshot-taken",
    "copy-begin",
    "copy-mid",
    "copy-end",
    "void",
    "copied",
    "committing",
    "commit-begin",
    "commit-mid",
    "reviving",
    "pivoting",
    "pivot-asked",
    "pivoted",
    "done",
)
"""Every state of the journal, and moments between them; at `pivoting` the commit is ready."""
SLOW = 2 * 1024 * 1024


def argv(moment: str, verb: str = "worker") -> tuple[str, ...]:
    return (sys.executable, "-W", "error", "-m", "tests.live.held_worker", verb, moment)


HASTY = "hasty-worker"
"""The verb of a worker that waits three seconds for a target that does not answer."""


def launcher_argv(moment: str, plan: Path) -> tuple[str, ...]:
    return (sys.executable, "-W", "error", "-m", "tests.live.held_worker", "launcher", moment, str(plan))


class Hold:
    """Stops its thread once, visible to others by a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done = False

    def __call__(self) -> None:
        if self._done:
            return
        self._done = True
        (self._folder / HELD).touch()
        # The test that lets it go is another process: the file is its only word, and nothing else runs here.
        while not (self._folder / GO).exists():
            time.sleep(0.02)


def hold_at(moment: str, hold: Hold) -> None:
    """Wrap what happens at `moment` so that it waits."""
    if moment in STAGES:
        _after(Journal, "write", lambda journal, stage, **details: hold() if stage == moment else None)
    if moment == "void":
        _before(Capture, "verify_disks", _fail)
    if moment in ("frozen", "switching"):
        owner, name = (snapshot._Switch, "ask") if moment == "frozen" else (LibvirtHost, "snapshot_disks")
        _before(owner, name, lambda *words: hold())
    if moment in ("copy-begin", "copy-mid"):
        pieces = iter(range(10**9))
        wanted = 0 if moment == "copy-begin" else 3
        _before(landing, "_write", lambda *words: hold() if next(pieces) == wanted else None)
    if moment == "copy-end":
        _before(Capture, "verify_disks", lambda *words: hold())
    if moment in ("commit-begin", "commit-mid"):
        speed = {"bandwidth_bytes_s": SLOW} if moment == "commit-mid" else {}
        _after_await(LibvirtHost, "commit_active", hold, **speed)
    if moment == "pivot-asked":
        _after_await(LibvirtHost, "pivot", hold)
    if moment.startswith("rename-"):
        renames = iter(range(1, 10**9))
        wanted = int(moment.removeprefix("rename-"))
        _after(files, "_rename", lambda *words: hold() if next(renames) == wanted else None)
    if moment.startswith("attach-"):
        given = iter(range(1, 10**9))
        nth = int(moment.removeprefix("attach-"))
        _after_await(LibvirtHost, "attach_device", lambda: hold() if next(given) == nth else None)
    if moment == "asking":
        _before(boot_test, "_answer", lambda *words: hold())
    if moment in ("defined", "started"):
        _after_await(LibvirtHost, "define" if moment == "defined" else "start", hold)


def _fail(*words: Any) -> None:
    raise OSError(5, "a test made the copy fail")


def _before(owner: Any, name: str, act: Callable[..., None]) -> None:
    original = getattr(owner, name)

    def wrapped(*words: Any, **named: Any) -> Any:
        act(*words)
        return original(*words, **named)

    setattr(owner, name, wrapped)


def _after(owner: Any, name: str, act: Callable[..., None]) -> None:
    original = getattr(owner, name)

    def wrapped(*words: Any, **named: Any) -> Any:
        result = original(*words, **named)
        act(*words, **named)
        return result

    setattr(owner, name, wrapped)


def _after_await(owner: Any, name: str, act: Callable[[], None], **added: Any) -> None:
    """The same for a coroutine; `added` are words that it is given besides the caller's."""
    original = getattr(owner, name)

    async def wrapped(*words: Any, **named: Any) -> Any:
        result = await original(*words, **named, **added)
        act()
        return result

    setattr(owner, name, wrapped)


def main(verb: str, moment: str, path: Path) -> int:
    if verb in ("worker", HASTY):
        hold_at(moment, Hold(path))
        patience = Patience(restart_s=2, watchdog_s=8, room_s=3)
        patience = replace(patience, target_s=3, last_word_s=3) if verb == HASTY else patience
        return asyncio.run(run_worker(path, connect, WATCHDOG, patience))
    return launch_and_wait(path, argv(moment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
