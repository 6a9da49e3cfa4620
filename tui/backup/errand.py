"""A rescue or an undo as a process of its own, which needs nothing of the program that began it, not even its ears."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tui.backup.own_scope import scope_words
from tui.backup.runs import LOG, runs_folder
from tui.hosts.lanes import apart
from tui.settings import PRIVATE_FILE, private_folder, state_folder

SAID_LIMIT = 64 * 1024
"""Bytes of its complaints that are told; the log has them all."""

DOING = "doing: "
"""What a line of the log begins with that tells how far an errand is, and complains of nothing."""
LISTEN_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Errand:
    """How it ended: the exit code, the answer on its standard output, and what it wrote to the log."""

    code: int
    answer: str
    said: str


def errand_log(run_id: str) -> Path:
    """The log of a run; of one that has no folder here, a log that all such share. Raises OSError."""
    folder = runs_folder() / run_id
    return folder / LOG if folder.is_dir() else private_folder(state_folder()) / "rescue.log"


def _unheard(_: str) -> None:
    """Nobody wants to know how far it is."""


async def run_errand(argv: Sequence[str], log: Path, hear: Callable[[str], None] = _unheard) -> Errand:
    """Run `argv` to its end, with `log` for its complaints; `hear` is told how far it is.

    No pipe leads to it: whoever gives up waiting, or ends, is not missed. Raises OSError where it cannot be started.
    """
    with ExitStack() as held:
        answer = held.enter_context(tempfile.TemporaryFile())
        complaints = held.enter_context(
            os.fdopen(os.open(log, os.O_RDWR | os.O_CREAT | os.O_APPEND, PRIVATE_FILE), "rb")
        )
        begin = os.fstat(complaints.fileno()).st_size
        process = _start(argv, answer, complaints)
        # The thread reaps it, too, where nobody waits for this any more.
        ended = asyncio.ensure_future(apart(process.wait))
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=LISTEN_EVERY_S)
                if told := _doings(_said(complaints, begin)):
                    hear(told[-1])
        finally:
            ended.cancel()
        answer.seek(0)
        said = _said(complaints, begin)
        without = "".join(line for line in said.splitlines(keepends=True) if not line.startswith(DOING))
        return Errand(ended.result(), _text(answer.read()), without)


def _said(complaints: IO[bytes], begin: int) -> str:
    complaints.seek(begin)
    return _text(complaints.read(SAID_LIMIT))


def _doings(said: str) -> list[str]:
    """How far it was, from the lines that are whole."""
    whole = said[: said.rfind("\n") + 1]
    return [line.removeprefix(DOING) for line in whole.splitlines() if line.startswith(DOING)]


def _start(argv: Sequence[str], answer: IO[bytes], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*scope_words(), *argv],
        stdin=subprocess.DEVNULL,
        stdout=answer,
        stderr=complaints,
        start_new_session=True,
        # It must not keep a mounted folder busy.
        cwd="/",
    )


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")
