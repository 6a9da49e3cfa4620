"""Run a command in a guest and tell what happens while it happens.

POSIX guests stream: the output waits in files of a private folder, which are read while it runs. Where the agent
offers no files, the guest lacks a tool, or is Windows, the agent captures the output until the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import replace

from tui.agent.errors import AgentError, CommandUnavailableError
from tui.agent.exec_ahead import ReadyRun, release
from tui.agent.exec_captured import Captured, missing_tools
from tui.agent.exec_model import (
    INPUT_LIMIT,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Mode,
    Notice,
    Started,
    Surroundings,
)
from tui.agent.exec_scripts import GUARD
from tui.agent.exec_source import NotStreamableError, OutputSource
from tui.agent.exec_standing import Standing
from tui.agent.exec_streamed import Streamed
from tui.agent.exec_watch import Watch
from tui.agent.profile import GuestProfile, read_profile, require_exec
from tui.agent.shield import uninterrupted
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
DEFAULT_PACE = ExecPace()


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
    source, notices = await _prepared(transport, request, stdin, profile, ready)
    windows = profile.is_windows
    watch = Watch(transport, source, pace, time_limit_s=request.timeout_s, windows=windows, standing=standing)
    feeding: asyncio.Task[Notice | None] | None = None
    try:
        if cancel is not None and cancel.is_set():
            yield Finished(End.CANCELLED, None, None, 0.0, 0, 0, reason="it was cancelled before it began")
            return
        await _begun(transport, watch)
        yield Started(watch.pid, source.mode)
        if stdin is not None and source.mode is Mode.STREAMED:
            feeding = asyncio.create_task(_fed(source, stdin))
        for notice in notices:
            yield notice
        while not watch.is_over:
            for event in await watch.step(cancel):
                yield event
            if feeding is not None and feeding.done() and not watch.is_over:
                trouble, feeding = feeding.result(), None
                if trouble is not None:
                    watch.stop(End.CANCELLED, "not all of its input reached it")
                    yield trouble
        if feeding is not None:
            trouble = await _ended(feeding)
            if trouble is not None:
                yield trouble
        yield watch.finished
        left = await uninterrupted(_left(source)) if not watch.finished.may_still_run else None
        if left is not None:
            yield left
    finally:
        await uninterrupted(_abandoned(watch, source, feeding))


async def _prepared(
    transport: Transport,
    request: ExecRequest,
    stdin: AsyncIterable[bytes] | None,
    profile: GuestProfile,
    ready: ReadyRun | None,
) -> tuple[OutputSource, list[Notice]]:
    """The best way in which this guest gives output, ready to start, and what the user should know of it."""
    if ready is not None:
        try:
            return Streamed(transport, request, ready=ready), []
        except AgentError:
            await uninterrupted(release(transport, ready))
            raise
    if profile.is_windows:
        request = await _with_input(request, stdin)
        return Captured.on_windows(transport, request), [_late("this is a Windows guest", guarded=False)]
    if profile.offers_files:
        streamed = Streamed(transport, request, is_fed=stdin is not None)
        try:
            await uninterrupted(streamed.prepare())
        except NotStreamableError as error:
            reason = str(error)
        except asyncio.CancelledError:
            await uninterrupted(streamed.remove())
            raise
        else:
            return streamed, []
    else:
        reason = "the agent's policy blocks its file commands"
    missing = await uninterrupted(missing_tools(transport))
    captured = Captured.on_posix(transport, await _with_input(request, stdin), missing)
    return captured, [_late(reason, guarded=captured.guarded)]


async def _begun(transport: Transport, watch: Watch) -> None:
    """Start the command; where the agent no longer does that, say why: a profile may be older than a freeze."""
    try:
        await uninterrupted(watch.start())
    except CommandUnavailableError:
        await require_exec(transport, await read_profile(transport))
        raise


async def _with_input(request: ExecRequest, stdin: AsyncIterable[bytes] | None) -> ExecRequest:
    """The request with all of `stdin`, as far as one request carries it: what is more is refused at the start."""
    if stdin is None:
        return request
    gathered = bytearray()
    async for piece in stdin:
        gathered += piece
        if len(gathered) > INPUT_LIMIT:
            break
    return replace(request, stdin=bytes(gathered))


async def _fed(source: OutputSource, stdin: AsyncIterable[bytes]) -> Notice | None:
    try:
        await source.feed(stdin)
    except (AgentError, OSError) as error:
        return Notice(f"Not all input reached the command, so it is ended: {error}")
    return None


async def _ended(feeding: asyncio.Task[Notice | None]) -> Notice | None:
    """What is to be said of the input once the command is over; what it did not take it did not want."""
    if not feeding.done():
        feeding.cancel()
    await asyncio.wait({feeding})
    return None if feeding.cancelled() else feeding.result()


def _late(reason: str, *, guarded: bool) -> Notice:
    bound = f"cut after {GUARD} bytes of each stream" if guarded else "and is lost when it passes 3 MB"
    return Notice(f"Output comes when the command has ended, {bound}: {reason}.")


async def _left(source: OutputSource) -> Surroundings | None:
    """What the command left to the next one."""
    try:
        return await source.surroundings()
    except AgentError as error:
        _log.info("the folder and environment that a command left are not known: %s", error.one_line())
        return None


async def _abandoned(watch: Watch, source: OutputSource, feeding: asyncio.Task[Notice | None] | None) -> None:
    """Leave nothing behind when nobody listens any more; nothing is to be done after a regular end."""
    if feeding is not None and not feeding.done():
        await _ended(feeding)
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
