"""The log of every command that was run in a guest: who, when, where, what, and how it ended."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from tui import settings
from tui.agent.errors import StartInDoubtError
from tui.agent.exec import run
from tui.agent.exec_ahead import ReadyRun
from tui.agent.exec_model import DEFAULT_PACE, CmdLine, CommandLine, ExecEvent, ExecPace, ExecRequest, Finished, Started
from tui.agent.exec_standing import Standing
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)


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
    """`agent.exec.run`, with a line in the log when the command was started and one when it is over.

    One that may have been started, and of which no more will be heard, has a single line that says so.
    `typed` is what the user wrote, where that is not what is run; None as `target` keeps no log.
    """
    said = typed or _words(request)
    pid = 0
    events = run(
        transport, request, stdin=stdin, profile=profile, cancel=cancel, pace=pace, ready=ready, standing=standing
    )
    async with aclosing(events):
        try:
            async for event in events:
                if isinstance(event, Started):
                    pid = event.pid
                    _append(target, {"event": "started", "pid": pid, "command": said})
                elif isinstance(event, Finished) and pid:
                    how = {"end": str(event.end), "exit_code": event.exit_code, "signal": event.signal}
                    seconds = round(event.duration_s, 3)
                    _append(target, {"event": "ended", "pid": pid, "command": said, **how, "seconds": seconds})
                yield event
        except StartInDoubtError as error:
            _append(target, {"event": "perhaps started", "pid": None, "command": said, "reason": error.cause})
            raise


def _words(request: ExecRequest) -> str | list[str]:
    if isinstance(request.command, CommandLine | CmdLine):
        return request.command.text
    return [request.command.path, *request.command.args]


def _append(target: Target | None, what: dict[str, object]) -> None:
    if target is None:
        return
    who = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "user": _user()}
    where = {"host": target.host, "guest": target.name, "uuid": target.uuid}
    try:
        settings.append_private(audit_path(), json.dumps({**who, **where, **what}) + "\n")
    except OSError as error:
        # A full disk must not keep an administrator from a guest; the program's log says that lines are missing.
        _log.warning("the log of commands could not be written: %s", error)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
