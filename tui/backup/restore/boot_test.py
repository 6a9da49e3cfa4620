"""The proof of a backup that counts: its clone boots, and its agent answers. Kept beside the backup."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tui.agent.commands import osinfo, ping
from tui.agent.errors import AgentError
from tui.backup.acts import start
from tui.backup.durable import read_text, replace_file
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.journal import LINE_LIMIT, read_object
from tui.backup.restore.plan import RestorePlan
from tui.backup.session import HostSession
from tui.backup.values import a_time
from tui.hosts.port import Host
from tui.model.guest import PowerState

logger = logging.getLogger(__name__)
BOOT_TESTED = "boot-tested.json"
"""The note's name in the backup's folder; the sums do not cover it, so it breaks none of them."""
PING_S = 3
PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class BootNote:
    """A boot test: Unix time in seconds, on which machine, and whether the agent answered.

    `seconds` from the start to the first answer, or to giving up; `answer` what the guest calls itself; `why` it
    failed, empty where it did not.
    """

    at: float
    on: str
    uri: str
    passed: bool
    seconds: float
    answer: str = ""
    why: str = ""


async def boot_and_ask(session: HostSession, plan: RestorePlan, stop: asyncio.Event, patience_s: float) -> BootNote:
    """Start the clone and wait for its agent; raises HostError where it cannot be started, CancelledBackupError."""
    began = time.monotonic()
    await start(session, plan.uuid)
    answer, why = "", "its agent did not answer"
    while not answer and time.monotonic() - began < patience_s:
        if stop.is_set():
            raise CancelledBackupError("The restore was cancelled")
        facts = await session.ask(lambda host: host.read_domain(plan.uuid))
        if facts.power is not PowerState.RUNNING:
            why = f"it went {facts.power}" + (f" ({facts.power_reason})" if facts.power_reason else "")
            why += f"; its log among libvirt's says more: {facts.name}.log"
            break
        answer = await session.ask(lambda host: _answer(host, plan.uuid))
        if not answer:
            await session.wait_for_news(PAUSE_S)
    seconds = round(time.monotonic() - began, 1)
    on = socket.gethostname()
    return BootNote(time.time(), on, plan.uri, bool(answer), seconds, answer, "" if answer else why)


async def _answer(host: Host, uuid: str) -> str:
    """What the guest calls itself once its agent answers; empty before."""
    line = host.probe_line(uuid)
    try:
        await ping(line, PING_S)
    except AgentError:
        return ""
    try:
        return (await osinfo(line)).pretty_name or "it answered"
    except AgentError:
        # An agent that answers its ping and does not tell the system's name has answered.
        return "it answered"


def keep_note(folder: Path, note: BootNote) -> None:
    """Write the note into the backup's folder, in place of an older one; raises BackupError."""
    try:
        replace_file(folder / BOOT_TESTED, json.dumps(asdict(note), indent=1) + "\n")
    except OSError as error:
        raise BackupError("The boot test's result could not be kept", cause=f"{folder}: {error.strerror}") from error


def read_note(folder: Path) -> BootNote | None:
    """The last boot test of a backup, None without one; a note of somebody else's making is none."""
    try:
        raw = read_object(" ".join(read_text(folder / BOOT_TESTED, LINE_LIMIT).splitlines()))
    except OSError:
        return None
    if raw is None:
        return None
    words = [raw.get(key) for key in ("on", "uri", "answer", "why")]
    if not all(isinstance(each, str) for each in words):
        return None
    try:
        at, seconds = a_time(raw.get("at")), a_time(raw.get("seconds"))
    except ValueError:
        return None
    on, uri, answer, why = (str(each) for each in words)
    return BootNote(at, on, uri, raw.get("passed") is True, seconds, answer, why)
