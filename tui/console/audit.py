"""The log of every command that was run in a guest: who, when, where, what, and how it ended."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from tui import settings
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

_log = logging.getLogger(__name__)
_DIED = "the qga-tui that ran it ended before it did"


def audit_path() -> Path:
    """Where the log is."""
    return settings.state_folder() / "commands.jsonl"


def audit_is_wanted() -> bool:
    """Whether commands are to be logged: they are, but for `audit = false` in config.toml.

    A config.toml that cannot be read turns nothing off.
    """
    try:
        return settings.load_config().audit
    except settings.ConfigError as error:
        _log.warning("%s", error)
        return True


@dataclass(frozen=True, slots=True)
class Target:
    """A guest by the names that a reader of the log knows: its host's URI, its name and its UUID."""

    host: str
    name: str
    uuid: str


async def run_audited(
    transport: Transport,
    request: ExecRequest,
    target: Target | None,
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

    def __init__(self, target: Target | None, command: str | list[str]) -> None:
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
        record = _record(self._target, {"event": "started", "pid": pid, "command": self._command})
        try:
            self._open = OpenCommand(record)
        except OSError as error:
            _log.warning("a command that runs could not be noted: %s", error)
        _append(record)

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
        _append(_record(self._target, what))
        if self._open is not None:
            self._open.close()

    def in_doubt(self, reason: str) -> None:
        """It may have been started."""
        if self._target is not None:
            what = {"event": "perhaps started", "pid": None, "command": self._command, "reason": reason}
            _append(_record(self._target, what))


def _log_abandoned() -> None:
    """Give an end to the commands of processes that died before them."""
    try:
        for started in take_abandoned():
            _append(started | {"at": _now(), "event": "ended", "end": str(End.LOST), "reason": _DIED})
    except OSError as error:
        _log.warning("commands of processes that died could not be looked for: %s", error)


def _words(request: ExecRequest) -> str | list[str]:
    if isinstance(request.command, CommandLine | CmdLine):
        return request.command.text
    return [request.command.path, *request.command.args]


def _record(target: Target, what: Mapping[str, object]) -> dict[str, object]:
    who = {"at": _now(), "user": _user()}
    where = {"host": target.host, "guest": target.name, "uuid": target.uuid}
    return {**who, **where, **what}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _append(record: dict[str, object]) -> None:
    try:
        settings.append_private(audit_path(), json.dumps(record) + "\n")
    except OSError as error:
        # A full disk must not keep an administrator from a guest; the program's log says that lines are missing.
        _log.warning("the log of commands could not be written: %s", error)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
