"""A backup's target may stop answering at any time: its server is gone, its file system is frozen.

So no work on it is done on the event loop, and none is waited for without an end: a call that hangs in the kernel is
left behind on a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time
from typing import TypeVar

from tui.backup.errors import BackupError, CancelledBackupError
from tui.hosts.lanes import apart
from tui.model.quantities import clock_time, duration

T = TypeVar("T")

SILENT_S = 5.0
"""Seconds after which it is told that an answer is owed."""
POLL_S = 0.25
LOOK_S, LOOK_AGAIN_S = 0.5, 30.0

Tell = Callable[[str], None]
"""Hears that the target does not answer, and an empty text once it did."""


class SilentTargetError(BackupError):
    """The target did not answer for as long as anybody was ready to wait."""


def silent_words(owed_since: float) -> str:
    """That the target owes an answer since monotonic second `owed_since`; empty as long as that is not worth a word."""
    silent = monotonic() - owed_since
    return f"the target does not answer since {clock_time(time() - silent)}" if silent >= SILENT_S else ""


def out_of_patience(folder: Path, owed_since: float, patience_s: float) -> SilentTargetError | None:
    """The error of a target that has owed an answer for longer than `patience_s` seconds, None before that."""
    silent = monotonic() - owed_since
    if silent < patience_s:
        return None
    return SilentTargetError(
        "The target does not answer",
        cause=f"{folder} has not answered since {clock_time(time() - silent)}, {duration(silent)} ago",
        next_step="See whether its server or its disk is well, then make the backup again.",
    )


def _unheard(words: str) -> None:
    """Nobody is told."""


_silent_until: dict[Path, float] = {}
"""The monotonic second up to which a folder that did not answer is not asked again."""


def at_once(look: Callable[[], T], folder: Path) -> T | None:
    """What a look into `folder` finds, for those who cannot wait; raises what `look` raises.

    None without an answer within LOOK_S seconds, and from then on for a while.
    """
    if monotonic() < _silent_until.get(folder, 0.0):
        return None
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(look())
        except BaseException as error:  # noqa: BLE001 - raised by whoever asked
            answer.set_exception(error)

    threading.Thread(target=run, name="look", daemon=True).start()
    try:
        return answer.result(LOOK_S)
    except TimeoutError:
        _silent_until[folder] = monotonic() + LOOK_AGAIN_S
        return None


@dataclass(frozen=True, slots=True)
class Target:
    """The folder that a backup goes into, the event that means stop, and the seconds an answer may take."""

    folder: Path
    stop: asyncio.Event
    patience_s: float

    async def do(self, work: Callable[[], T], tell: Tell = _unheard) -> T:
        """The result of `work`, which touches the target, on a thread of its own.

        Work is small: of what is left behind, the calls that `work` still has to make are made once the target
        answers again, unless the process is gone by then. Raises what `work` and what `answer` raise.
        """
        return await self.answer(apart(work), tell)

    async def answer(self, work: Coroutine[None, None, T], tell: Tell = _unheard) -> T:
        """The result of `work`, which waits for the target elsewhere.

        Raises what `work` raises, SilentTargetError, and CancelledBackupError where `stop` is set while the target does
        not answer: work that goes on comes to its end.
        """
        task = asyncio.create_task(work)
        owed_since, words = monotonic(), ""
        try:
            while not (await asyncio.wait({task}, timeout=POLL_S))[0]:
                error = out_of_patience(self.folder, owed_since, self.patience_s)
                if error is not None:
                    raise error
                if not words and (words := silent_words(owed_since)):
                    tell(words)
                if words and self.stop.is_set():
                    raise CancelledBackupError("The backup was cancelled", cause=words)
            return task.result()
        finally:
            task.cancel()
            if words:
                tell("")
