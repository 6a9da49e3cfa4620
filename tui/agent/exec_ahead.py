"""A run prepared ahead: a folder in the guest, a shell that waits in it to become a command, the handles that it takes.

With these, a command costs the call that hands it over and the calls that read what it said.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start, exec_status
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, UnansweredError
from tui.agent.every_step import every_step
from tui.agent.exec_ends import Endings
from tui.agent.exec_folder import RunFolder, make_folder, remove_folder
from tui.agent.exec_model import DEFAULT_PACE
from tui.agent.exec_pump import pump
from tui.agent.exec_shell import ask, forget
from tui.agent.exec_source import START_TIMEOUT_S, NotStreamableError
from tui.agent.held_file import HeldFile
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
_FILES = {"go": "r+", "end": "r", "o.0": "r", "e.0": "r"}
"""What is held open of a folder, and how: nobody waits for a reader of a FIFO that is opened for both."""
_TEXT_LIMIT = 16 * 1024
"""Bytes of a command that a runner is given: a FIFO takes four times as much at once."""
_LONGEST_PAUSE_S = 0.05
_LOOK_S, _BEGINS_S = 0.003, 5.0
"""Seconds from one look at a shell that was given a command to the next, and until it must have begun. Each look takes
the guest's time from the command."""
_WRITTEN_AT_ONCE = 4096
"""Bytes of which C libraries keep no rest in their buffers, where these are not larger."""
_PATIENT_LOOKS = 4
"""Looks after which the shell itself is looked for."""
_LOOKS_AT_AN_END = 20
"""Looks after which a shell that was killed is taken for one that cannot end."""
_UNKNOWN = ExecStatus(exited=False)
_MARGIN_S = 120.0
"""Seconds before the end of a waiting folder in which it is not used any more."""


@dataclass(frozen=True, slots=True)
class ReadyRun:
    """A folder whose `runner`, a pid, waits for a command; `made_at` is the event loop's time, in seconds.

    `go` takes the command; `end` and the first segments, by the streams' names, are open to be read. `endings` reads
    `end`, in which the runner says `word`.
    """

    folder: RunFolder
    made_at: float
    runner: int
    go: HeldFile
    end: HeldFile
    firsts: Mapping[str, HeldFile]
    word: str
    endings: Endings

    @property
    def is_fresh(self) -> bool:
        """Whether the runner waits for long enough still, and the agent has not begun anew meanwhile."""
        return (
            self.end.is_current and asyncio.get_running_loop().time() - self.made_at < scripts.KEPT_READY_S - _MARGIN_S
        )


async def make_ready(transport: Transport, cwd: str, *, unread_s: float = DEFAULT_PACE.unread) -> ReadyRun:
    """Prepare a run in `cwd`; raises what `make_folder` raises, NotStreamableError where no shell can wait.

    `unread_s` is the `unread` of the run's pace.
    """
    made_at = asyncio.get_running_loop().time()
    folder = await make_folder(transport, cwd, pump=pump(unread_s))
    files = [HeldFile(transport, f"{folder.path}/{name}", mode=mode) for name, mode in _FILES.items()]
    word = secrets.token_hex(8)
    try:
        runner = await _waiting_shell(transport, folder, files, word)
    except BaseException:
        try:
            await every_step(partial(remove_folder, transport, folder), *(file.close for file in files))
        except AgentError as error:
            _log.info("%s may be left in the guest until the next sweep: %s", folder.path, error)
        raise
    go, end, out, err = files
    return ReadyRun(folder, made_at, runner, go, end, {"o": out, "e": err}, word, Endings(end))


async def is_still_ours(ready: ReadyRun) -> bool:
    """Whether the agent's handles are those that were opened for this run; those of another client are left alone then.

    Proven by the runner's word, read through one of them: an agent that begins anew counts from the same number.
    Raises an AgentError where the agent does not say.
    """
    try:
        async with asyncio.timeout(_BEGINS_S):
            if await _says_its_word(ready):
                return True
    except TimeoutError:
        _log.info("pid %s does not say its word", ready.runner)
    for file in (ready.go, ready.end, *ready.firsts.values()):
        file.let_be()
    return False


def _has_number(file: HeldFile, number: int) -> bool:
    return file.is_current and file.number == number


async def _says_its_word(ready: ReadyRun) -> bool:
    """Whether the word comes through the handle that was opened for it; a lost answer is asked for once more."""
    if not ready.end.is_current:
        return False
    number, has_missed = ready.end.number, False
    while not ready.endings.word and not ready.endings.is_foreign:
        try:
            await ready.endings.look()
        except UnansweredError:
            if has_missed:
                raise
            has_missed = True
        # One that the agent did not know was opened by its name instead.
        if not _has_number(ready.end, number):
            return False
        if not ready.endings.word:
            await asyncio.sleep(_LOOK_S)
    return ready.endings.word == ready.word


async def _waiting_shell(transport: Transport, folder: RunFolder, files: Sequence[HeldFile], word: str) -> int:
    if not folder.holder or not all([await file.open() for file in files]):
        raise NotStreamableError("no shell can wait in the guest for a command")
    handles = " ".join(str(file.number) for file in files)
    words = (scripts.SHELL, "-c", scripts.WAITING, scripts.SHELL, folder.path, folder.holder, handles, word)
    return await exec_start(transport, "setsid", words, capture=False, timeout_s=START_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a command that was handed over; `is_sure` where that was answered, or the command said so."""

    status: ExecStatus
    is_sure: bool = True


async def begin(transport: Transport, ready: ReadyRun, text: bytes) -> Begun | None:
    """Let the runner become the command `text`; what is known of it then, or None: nobody waited, and nothing began.

    A command may be over when this returns. Raises an AgentError only where the runner got nothing.
    """
    endings = ready.endings
    if not ready.is_fresh or len(text) > _TEXT_LIMIT or not await is_still_ours(ready):
        return None
    mark = secrets.token_hex(8).encode("ascii") + b"\n"
    given = mark + text + mark
    # Nobody reads on behind the mark.
    if not await _is_written(ready.go, given + b"\n" * (-len(given) % _WRITTEN_AT_ONCE)):
        return await _found_out(transport, ready, endings)
    try:
        async with asyncio.timeout(_BEGINS_S):
            if await _begins_at_once(endings):
                return Begun(_UNKNOWN)
    except (AgentError, TimeoutError) as error:
        _log.info("pid %s was given a command, and some of it may still wait: %s", ready.runner, error)
        return Begun(_UNKNOWN, is_sure=False)
    if not await _is_flushed(ready.go):
        return await _found_out(transport, ready, endings)
    try:
        async with asyncio.timeout(_BEGINS_S):
            status = await _begun(transport, ready.runner, endings)
    except (AgentError, TimeoutError) as error:
        # It has the command and may run it: who follows it will see.
        _log.info("pid %s was given a command: %s", ready.runner, error)
        return Begun(_UNKNOWN)
    return None if status is None else Begun(status)


async def _is_written(go: HeldFile, data: bytes) -> bool:
    """Whether the agent took `data` for certain; raises where it never will."""
    try:
        await go.write(data)
    except CommandUnavailableError:
        raise
    except AgentError as error:
        # A handle that the agent does not know: it was restarted, or the guest was.
        if not (error.may_have_acted or isinstance(error, CommandFailedError)):
            raise
        return False
    return True


async def _begins_at_once(endings: Endings) -> bool:
    await asyncio.sleep(_LOOK_S)
    await endings.look()
    return endings.has_begun


async def _is_flushed(go: HeldFile) -> bool:
    """Whether the agent holds nothing back; else that may come yet: when it closes the file, or ends."""
    try:
        await go.flush()
    except AgentError:
        return False
    return True


async def _found_out(transport: Transport, ready: ReadyRun, endings: Endings) -> Begun | None:
    try:
        return await settle(transport, ready, endings)
    except AgentError as error:
        _log.info("pid %s may have been given a command: %s", ready.runner, error)
        return Begun(_UNKNOWN, is_sure=False)


async def settle(transport: Transport, ready: ReadyRun, endings: Endings) -> Begun | None:
    """Find out about a command that may have been handed over: None when it never began, and never will.

    What the agent holds of it is flushed; a runner that then does not begin is ended. Raises an AgentError where the
    agent does not say enough.
    """
    await _flush_what_waits(ready.go)
    try:
        async with asyncio.timeout(_BEGINS_S):
            status = await _begun(transport, ready.runner, endings)
    except (CommandFailedError, TimeoutError) as error:
        if isinstance(error, CommandUnavailableError):
            raise
        _log.info("pid %s does not begin: %s", ready.runner, error)
        status = await _withdrawn(transport, ready, endings)
    return None if status is None else Begun(status)


async def _flush_what_waits(go: HeldFile) -> None:
    try:
        await go.flush()
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        # An agent that was restarted has flushed it, or lost it.
        return


async def _withdrawn(transport: Transport, ready: ReadyRun, endings: Endings) -> ExecStatus | None:
    """End the runner unless it begins; what is known of the command that began, or None."""
    words = (scripts.SHELL, "-c", scripts.WITHDRAW, scripts.SHELL, ready.folder.path, str(ready.runner))
    for _ in range(_LOOKS_AT_AN_END):
        is_there = (await ask(transport, *words)).exit_code == 0
        await endings.look()
        if endings.has_begun:
            return _UNKNOWN
        if not is_there:
            return None
        await asyncio.sleep(_LONGEST_PAUSE_S)
    raise UnansweredError(
        f"pid {ready.runner} in the guest neither begins nor ends",
        cause="it was given a command, and killed",
        next_step="See what keeps the guest busy.",
    )


async def _begun(transport: Transport, runner: int, endings: Endings) -> ExecStatus | None:
    pause, status = _LOOK_S, _UNKNOWN
    for looks in itertools.count():
        await asyncio.sleep(pause)
        if looks >= _PATIENT_LOOKS:
            status = await exec_status(transport, runner)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        await endings.look()
        if endings.has_begun or status.exited:
            break
    return status if endings.has_begun else None


async def close_handles(ready: ReadyRun) -> None:
    """Give back the handles that no run has taken over."""
    await every_step(*(file.close for file in (ready.go, ready.end, *ready.firsts.values())))


async def release(transport: Transport, ready: ReadyRun) -> None:
    """Remove a run in which no command was begun, and let the agent forget its runner.

    The folder goes first: without it nothing begins, whatever a closed handle still hands to the runner. Handles and
    pid are given back to the agent that gave them, and to no other.
    """
    steps: list[Callable[[], Awaitable[None]]] = [partial(remove_folder, transport, ready.folder)]
    try:
        is_ours = await is_still_ours(ready)
    except AgentError:
        is_ours = False
    if is_ours:
        steps += [partial(close_handles, ready), partial(forget, transport, ready.runner)]
    await every_step(*steps)
