"""Run a command in a guest and tell what happens while it happens.

POSIX guests stream: the output waits in files of a private folder, which are read while it runs. Where the agent
offers no files, the guest lacks a tool, or is Windows, the agent captures the output until the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from tui.agent.errors import AgentError
from tui.agent.exec_captured import Captured, missing_tools
from tui.agent.exec_model import End, ExecEvent, ExecPace, ExecRequest, Notice, Started
from tui.agent.exec_scripts import GUARD
from tui.agent.exec_source import NotStreamableError, OutputSource
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
    profile: GuestProfile | None = None,
    cancel: asyncio.Event | None = None,
    pace: ExecPace = DEFAULT_PACE,
) -> AsyncGenerator[ExecEvent, None]:
    """Run `request` and yield `Started`, then `Output` and `Notice` as they come, and `Finished` last.

    Setting `cancel` ends the command in the guest and still yields how it ended. Cancelling the task that iterates,
    or closing the iterator (iterate within `contextlib.aclosing`), ends it too and returns only after that.
    `profile` is looked up where it is None. Raises an `AgentError` only before `Started`; whatever goes wrong after it
    is told by `Finished`.
    """
    profile = profile or await read_profile(transport)
    await require_exec(transport, profile)
    source, notices = await _prepared(transport, request, profile)
    watch = Watch(transport, source, pace, time_limit_s=request.timeout_s, windows=profile.is_windows)
    try:
        await uninterrupted(watch.start())
        yield Started(watch.pid, source.mode)
        for notice in notices:
            yield notice
        while not watch.is_over:
            for event in await watch.step(cancel):
                yield event
        for notice in await uninterrupted(_removed(source)):
            yield notice
        yield watch.finished
    finally:
        await uninterrupted(_abandoned(watch, source))


async def _prepared(
    transport: Transport, request: ExecRequest, profile: GuestProfile
) -> tuple[OutputSource, list[Notice]]:
    """The best way in which this guest gives output, ready to start, and what the user should know of it."""
    if profile.is_windows:
        return Captured.on_windows(transport, request), [_late("this is a Windows guest", guarded=False)]
    if profile.offers_files:
        streamed = Streamed(transport, request)
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
    captured = Captured.on_posix(transport, request, missing)
    return captured, [_late(reason, guarded=captured.guarded)]


def _late(reason: str, *, guarded: bool) -> Notice:
    bound = f"cut after {GUARD} bytes of each stream" if guarded else "and is lost when it passes 3 MB"
    return Notice(f"Output comes when the command has ended, {bound}: {reason}.")


async def _removed(source: OutputSource) -> list[Notice]:
    try:
        await source.remove()
    except AgentError as error:
        return [Notice(f"Temporary files may be left in the guest: {error.one_line()}")]
    return []


async def _abandoned(watch: Watch, source: OutputSource) -> None:
    """Leave nothing behind when nobody listens any more; nothing is to be done after a regular end."""
    if watch.started:
        watch.stop(End.CANCELLED)
        while not watch.is_over:
            await watch.step()
        if watch.finished.may_still_run:
            _log.warning("a cancelled command may still run in the guest: %s", watch.finished.reason)
    for notice in await _removed(source):
        _log.warning("%s", notice.text)
