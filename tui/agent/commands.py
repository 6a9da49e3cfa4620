"""The agent's commands as typed functions, each with an explicit timeout.

All raise what `protocol.call` raises. Facts: QEMU's qga/qapi-schema.json.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tui.agent.errors import GuestNotRunningError, NotConnectedError, UnansweredError
from tui.agent.protocol import Fields, Json, call, integer, text
from tui.agent.transport import Transport

QUESTION_TIMEOUT_S = 5
"""For what a healthy agent answers at once."""
CAPTURE_LIMIT = 16 * 1024 * 1024
"""Bytes that the agent keeps of each captured stream."""


class FreezeStatus(StrEnum):
    """What the agent says of the guest's filesystems."""

    THAWED = "thawed"
    FROZEN = "frozen"


class ShutdownMode(StrEnum):
    """How a guest is to end, in the agent's words."""

    POWERDOWN = "powerdown"
    REBOOT = "reboot"


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """What the agent says of itself. A blocked command is listed and not enabled; an unknown one is not listed."""

    version: str
    enabled: frozenset[str]
    disabled: frozenset[str]

    def offers(self, *commands: str) -> bool:
        """Whether all of the commands may be called now; a frozen guest offers next to none."""
        return self.enabled.issuperset(commands)


@dataclass(frozen=True, slots=True)
class OsInfo:
    """The guest's operating system in its own words, empty where it is silent; `id` is `mswindows` on Windows."""

    id: str = ""
    name: str = ""
    pretty_name: str = ""
    version: str = ""
    version_id: str = ""
    machine: str = ""
    kernel_release: str = ""
    kernel_version: str = ""


@dataclass(frozen=True, slots=True)
class ExecStatus:
    """The state of a started process; bytes are there only after exit and only where they were captured.

    Once it was answered with `exited`, the agent forgets the process.
    """

    exited: bool
    exit_code: int | None = None
    signal: int | None = None
    out: bytes = b""
    err: bytes = b""
    truncated: bool = False


async def ping(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> float:
    """Milliseconds until the agent answered, queueing on the way included."""
    begun = time.perf_counter()
    await call(transport, "guest-ping", timeout_s=timeout_s)
    return (time.perf_counter() - begun) * 1000


async def info(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> AgentInfo:
    """The agent's version and what it offers. What to offer users follows the commands, never the version."""
    reply = Fields(await call(transport, "guest-info", timeout_s=timeout_s), "guest-info")
    enabled = {entry.text("name"): entry.flag("enabled") for entry in reply.objects("supported_commands")}
    return AgentInfo(
        version=reply.text("version"),
        enabled=frozenset(name for name, is_enabled in enabled.items() if is_enabled),
        disabled=frozenset(name for name, is_enabled in enabled.items() if not is_enabled),
    )


async def osinfo(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> OsInfo:
    """The guest's operating system."""
    command = "guest-get-osinfo"
    reply = Fields(await call(transport, command, timeout_s=timeout_s), command)
    return OsInfo(
        id=reply.text("id", ""),
        name=reply.text("name", ""),
        pretty_name=reply.text("pretty-name", ""),
        version=reply.text("version", ""),
        version_id=reply.text("version-id", ""),
        machine=reply.text("machine", ""),
        kernel_release=reply.text("kernel-release", ""),
        kernel_version=reply.text("kernel-version", ""),
    )


async def fsfreeze_status(transport: Transport, timeout_s: int = QUESTION_TIMEOUT_S) -> FreezeStatus:
    """Whether the agent has frozen filesystems."""
    command = "guest-fsfreeze-status"
    status = text(await call(transport, command, timeout_s=timeout_s), command)
    return FreezeStatus.THAWED if status == FreezeStatus.THAWED else FreezeStatus.FROZEN


async def fsfreeze_freeze(transport: Transport, timeout_s: int) -> int:
    """Freeze all filesystems and return how many were frozen. A timeout does not keep the guest from freezing."""
    command = "guest-fsfreeze-freeze"
    return integer(await call(transport, command, timeout_s=timeout_s), command)


async def fsfreeze_thaw(transport: Transport, timeout_s: int) -> int:
    """Thaw all filesystems and return how many were thawed; 0 where none was frozen."""
    command = "guest-fsfreeze-thaw"
    return integer(await call(transport, command, timeout_s=timeout_s), command)


async def shutdown(transport: Transport, mode: ShutdownMode, timeout_s: int = QUESTION_TIMEOUT_S) -> None:
    """Ask a guest to end; returns when it was asked.

    The agent replies to this only where it refuses (`success-response: false`), so that silence after an answered ping
    is taken for consent, and so is the end of the agent.
    """
    await ping(transport, timeout_s)
    with contextlib.suppress(UnansweredError, NotConnectedError, GuestNotRunningError):
        await call(transport, "guest-shutdown", {"mode": mode}, timeout_s=timeout_s)


async def exec_start(
    transport: Transport,
    path: str,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    input_data: bytes = b"",
    capture: bool,
    timeout_s: int = QUESTION_TIMEOUT_S,
) -> int:
    """Start a program in the guest and return its pid.

    `env` replaces the whole environment; None inherits the agent's. `capture` is true or false alone: the agents that
    know "stdout" and "stderr" close their own standard input by them.
    """
    arguments: dict[str, Json] = {"path": path, "arg": list(args), "capture-output": capture}
    if env is not None:
        arguments["env"] = [f"{name}={value}" for name, value in env.items()]
    if input_data:
        arguments["input-data"] = base64.b64encode(input_data).decode("ascii")
    reply = await call(transport, "guest-exec", arguments, timeout_s=timeout_s)
    return Fields(reply, "guest-exec").integer("pid")


async def exec_status(transport: Transport, pid: int, timeout_s: int = QUESTION_TIMEOUT_S) -> ExecStatus:
    """The state of a started process. The first answer with `exited` is the only one: one poller per pid.

    Raises `CommandFailedError` for a pid that the agent does not know (any more).
    """
    command = "guest-exec-status"
    reply = Fields(await call(transport, command, {"pid": pid}, timeout_s=timeout_s), command)
    if not reply.flag("exited"):
        return ExecStatus(exited=False)
    out, err = reply.data("out-data"), reply.data("err-data")
    # 10.0.2 sends the key only when output was cut, with the value false.
    flagged = reply.flag("out-truncated", False) or reply.flag("err-truncated", False)
    return ExecStatus(
        exited=True,
        exit_code=reply.integer("exitcode") if reply.has("exitcode") else None,
        signal=reply.integer("signal") if reply.has("signal") else None,
        out=out,
        err=err,
        truncated=flagged or len(out) >= CAPTURE_LIMIT or len(err) >= CAPTURE_LIMIT,
    )
