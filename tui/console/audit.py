"""The log of every command that was run in a guest: who, when, where, what, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing

from tui.agent.errors import StartInDoubtError
from tui.agent.exec import run
from tui.agent.exec_ahead import ReadyRun
from tui.agent.exec_model import (
    DEFAULT_PACE,
    CmdLine,
    CommandLine,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Started,
)
from tui.agent.exec_standing import Standing
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport
from tui.console.open_commands import OpenCommand, take_abandoned
from tui.system.audit_log import AuditTarget, append_to_audit_log, audit_record, audit_time

_log = logging.getLogger(__name__)
_DIED = "the qga-tui that ran it ended before it did"


async def run_audited(
    transport: Transport,
    request: ExecRequest,
    target: AuditTarget | None,
    *,
    typed: str = "",
    stdin: AsyncIterable[bytes] | None = None,
    profile: GuestProfile | None = None,
    cancel: asyncio.Event | None = None,
    pace: ExecPace = DEFAULT_PACE,
    ready: ReadyRun | None = None,
    standing: Standing | None = None,
) -> AsyncGenerator[ExecEvent, None]:
    """`agent.exec.run`, with a line in the log when the command was started and one when it is over, whatever ends it.

    One that may have been started, and of which no more will be heard, has a single line that says so. Where this
    process dies before the end, the next one that runs a command logs it. `typed` is what the user wrote, where that is
    not what is run; None as `target` keeps no log.
    """
    entry = _Entry(target, typed or _words(request))
    events = run(
        transport, request, stdin=stdin, profile=profile, cancel=cancel, pace=pace, ready=ready, standing=standing
    )
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Started):
                    entry.started(event.pid)
                elif isinstance(event, Finished):
                    entry.finished(event)
                yield event
    except StartInDoubtError as error:
        entry.in_doubt(error.cause)
        raise
    finally:
        entry.given_up()


class _Entry:
    """What the log says of one command."""

    def __init__(self, target: AuditTarget | None, command: str | list[str]) -> None:
        self._target = target
        self._command = command
        self._pid = 0
        self._began_at = 0.0
        self._open: OpenCommand | None = None

    def started(self, pid: int) -> None:
        """The command runs in the guest."""
        self._pid, self._began_at = pid, time.monotonic()
        if self._target is None:
            return
        _log_abandoned()
        record = audit_record(self._target, {"event": "started", "pid": pid, "command": self._command})
        try:
            self._open = OpenCommand(record)
        except OSError as error:
            _log.warning("a command that runs could not be noted: %s", error)
        append_to_audit_log(record)

    def finished(self, event: Finished) -> None:
        """It is over, and this is how."""
        how = {"end": str(event.end), "exit_code": event.exit_code, "signal": event.signal}
        self._ended(how, event.duration_s)

    def given_up(self) -> None:
        """Nobody listens any more: a command that has not ended was ended in the guest for that."""
        self._ended({"end": str(End.CANCELLED), "exit_code": None, "signal": None}, time.monotonic() - self._began_at)

    def _ended(self, how: Mapping[str, object], seconds: float) -> None:
        if self._target is None or not self._pid:
            return
        what = {"event": "ended", "pid": self._pid, "command": self._command, **how, "seconds": round(seconds, 3)}
        self._pid = 0
        append_to_audit_log(audit_record(self._target, what))
        if self._open is not None:
            self._open.close()

    def in_doubt(self, reason: str) -> None:
        """It may have been started."""
        if self._target is not None:
            what = {"event": "perhaps started", "pid": None, "command": self._command, "reason": reason}
            append_to_audit_log(audit_record(self._target, what))


def _log_abandoned() -> None:
    """Give an end to the commands of processes that died before them."""
    try:
        for started in take_abandoned():
            append_to_audit_log(started | {"at": audit_time(), "event": "ended", "end": str(End.LOST), "reason": _DIED})
    except OSError as error:
        _log.warning("commands of processes that died could not be looked for: %s", error)


def _words(request: ExecRequest) -> str | list[str]:
    if isinstance(request.command, CommandLine | CmdLine):
        return request.command.text
    return [request.command.path, *request.command.args]
