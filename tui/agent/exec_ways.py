"""The best way in which a guest gives the output of a command, and what the user should know of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

from tui.agent.errors import AgentError, CommandFailedError
from tui.agent.exec_ahead import ReadyRun, release
from tui.agent.exec_captured import Captured, missing_tools
from tui.agent.exec_model import INPUT_LIMIT, ExecPace, ExecRequest, Notice
from tui.agent.exec_redirected import Redirected
from tui.agent.exec_scripts import GUARD
from tui.agent.exec_source import NotStreamableError, OutputSource
from tui.agent.exec_streamed import Streamed
from tui.agent.profile import GuestProfile
from tui.agent.shield import uninterrupted
from tui.agent.transport import Transport

_BLOCKED = "the agent's policy blocks its file commands"
_CUT = f", cut after {GUARD} bytes of each stream (the command runs on to its end)"


async def prepared(
    transport: Transport,
    request: ExecRequest,
    stdin: AsyncIterable[bytes] | None,
    profile: GuestProfile,
    cancel: asyncio.Event | None,
    ready: ReadyRun | None,
    pace: ExecPace,
) -> tuple[OutputSource, list[Notice]]:
    """A source that is ready to start. Where it does not stream, all of `stdin` is waited for, or `cancel`.

    Raises CommandFailedError where no way is safe for the agent, or the command cannot be given to this guest.
    """
    if ready is not None:
        try:
            return Streamed(transport, request, pace=pace, ready=ready), []
        except AgentError:
            await uninterrupted(release(transport, ready))
            raise
    if profile.is_windows:
        return await _on_windows(transport, request, _until(cancel, stdin), profile)
    if profile.offers_files:
        streamed = Streamed(transport, request, is_fed=stdin is not None, pace=pace)
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
        reason = _BLOCKED
    missing = await uninterrupted(missing_tools(transport))
    captured = Captured(transport, await _with_input(request, _until(cancel, stdin)), missing)
    return captured, [_late_on_posix(reason, guarded=captured.guarded)]


async def _on_windows(
    transport: Transport, request: ExecRequest, stdin: AsyncIterable[bytes] | None, profile: GuestProfile
) -> tuple[OutputSource, list[Notice]]:
    source = Redirected(transport, request, offers_files=profile.offers_files)
    try:
        await uninterrupted(source.prepare())
        await source.take_input(stdin)
    except NotStreamableError as error:
        raise CommandFailedError(
            "The command was not started",
            cause=f"{error}, and output that the agent collects itself may end its line for everybody",
        ) from error
    except BaseException:
        await uninterrupted(source.remove())
        raise
    how, reason = ("", "this is a Windows guest") if profile.offers_files else (_CUT, _BLOCKED)
    return source, [Notice(f"Output comes when the command has ended{how}: {reason}.")]


def _until(cancel: asyncio.Event | None, pieces: AsyncIterable[bytes] | None) -> AsyncIterable[bytes] | None:
    """`pieces` until `cancel` is set: what is typed may end late."""
    return pieces if cancel is None or pieces is None else _pieces_until(cancel, pieces)


async def _pieces_until(cancel: asyncio.Event, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    iterator = aiter(pieces)
    stop = asyncio.ensure_future(cancel.wait())
    try:
        while not cancel.is_set():
            coming = asyncio.ensure_future(_next(iterator))
            try:
                await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
            if coming.cancelled() or (piece := coming.result()) is None:
                return
            yield piece
    finally:
        stop.cancel()


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


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


def _late_on_posix(reason: str, *, guarded: bool) -> Notice:
    if guarded:
        return Notice(
            f"Output comes when the command and all that it left in the background have ended{_CUT}: {reason}."
        )
    return Notice(
        f"Output is not shown: {reason}, and without a shell and head or dd in the guest nothing bounds it; "
        "a reply that is too large ends the agent's line for everybody."
    )
