"""Run a command in a guest and tell what happens while it happens.

POSIX guests stream: the output waits in files of a private folder, which are read while it runs. Windows guests write
such files too, which are read at the end. Where the agent offers no files or a POSIX guest lacks a tool, a bounded part
of the output comes at the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing

from tui.agent.errors import AgentError, CommandUnavailableError
from tui.agent.exec_ahead import ReadyRun
from tui.agent.exec_feeding import Feeding
from tui.agent.exec_model import (
    CANCELLED_BEFORE,
    DEFAULT_PACE,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Started,
    Surroundings,
)
from tui.agent.exec_source import OutputSource
from tui.agent.exec_standing import Standing
from tui.agent.exec_watch import Watch
from tui.agent.exec_ways import prepared
from tui.agent.profile import GuestProfile, read_profile, require_exec
from tui.agent.shield import uninterrupted
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)


async def run(
    transport: Transport,
    request: ExecRequest,
    *,
    stdin: AsyncIterable[bytes] | None = None,
    profile: GuestProfile | None = None,
    cancel: asyncio.Event | None = None,
    pace: ExecPace = DEFAULT_PACE,
    ready: ReadyRun | None = None,
    standing: Standing | None = None,
) -> AsyncGenerator[ExecEvent, None]:
    """Run `request` and yield `Started`, then `Output` and `Notice` as they come, then `Finished` and `Surroundings`.

    `stdin` is handed to the command as it comes, in place of the request's own; where the guest does not stream, it is
    gathered first. Where it breaks off, the command is ended: it is not to take a part for the whole. Setting `cancel`
    ends it too and still yields how it ended; before the start, `Finished` comes alone. Cancelling the task that
    iterates, or closing the iterator (iterate within `contextlib.aclosing`), ends it and returns only after that.
    `profile` is looked up where it is None. `ready` was made ahead for a request with this `cwd` and no `stdin`, in a
    guest that streams; it belongs to this run from now on. `standing` is changed by whoever hears from the hypervisor
    what becomes of the guest. Raises an `AgentError` only before `Started`, of which `StartInDoubtError` alone may
    leave something running; whatever goes wrong after it is told by `Finished`.
    """
    profile = profile or await read_profile(transport)
    await require_exec(transport, profile)
    source, notices = await prepared(transport, request, stdin, profile, cancel, ready, pace)
    windows = profile.is_windows
    watch = Watch(transport, source, pace, time_limit_s=request.timeout_s, windows=windows, standing=standing)
    feeding = Feeding(source, stdin)
    try:
        if cancel is not None and cancel.is_set():
            yield Finished(End.CANCELLED, None, None, 0.0, 0, 0, reason=CANCELLED_BEFORE)
            return
        await _begun(transport, watch)
        yield Started(watch.pid, source.mode)
        for notice in notices:
            yield notice
        async with aclosing(_course(watch, feeding, cancel)) as course:
            async for event in course:
                yield event
        left = await uninterrupted(_left(source)) if not watch.finished.may_still_run else None
        if left is not None:
            yield left
    finally:
        await uninterrupted(_abandoned(watch, source, feeding))


async def _course(watch: Watch, feeding: Feeding, cancel: asyncio.Event | None) -> AsyncGenerator[ExecEvent, None]:
    """What happens from the start to `Finished`, which comes last."""
    feeding.begin()
    while not watch.is_over:
        trouble = feeding.broken_off()
        if trouble is not None:
            watch.stop(End.CANCELLED, "not all of its input reached it")
            yield trouble
        for event in await watch.step(cancel):
            yield event
    trouble = await feeding.end()
    if trouble is not None:
        yield trouble
    yield watch.finished


async def _begun(transport: Transport, watch: Watch) -> None:
    """Start the command; where the agent no longer does that, say why: a profile may be older than a freeze."""
    try:
        await uninterrupted(watch.start())
    except CommandUnavailableError:
        await require_exec(transport, await read_profile(transport))
        raise


async def _left(source: OutputSource) -> Surroundings | None:
    """What the command left to the next one."""
    try:
        return await source.surroundings()
    except AgentError as error:
        _log.info("the folder and environment that a command left are not known: %s", error.one_line())
        return None


async def _abandoned(watch: Watch, source: OutputSource, feeding: Feeding) -> None:
    """Leave nothing behind when nobody listens any more; nothing is to be done after a regular end."""
    await feeding.end()
    if watch.started:
        watch.stop(End.CANCELLED)
        while not watch.is_over:
            await watch.step()
        if watch.finished.may_still_run:
            _log.warning("a cancelled command may still run in the guest: %s", watch.finished.reason)
    try:
        await source.remove()
    except AgentError as error:
        _log.warning("temporary files may be left in the guest until the next sweep: %s", error.one_line())
