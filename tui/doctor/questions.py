"""The doctor's questions to an agent: none changes anything in the guest, and nobody has to wait for their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace

from tui.agent import commands
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, NotReturnedError
from tui.agent.exec_shell import ask
from tui.agent.protocol import call, integer
from tui.agent.transport import Transport
from tui.doctor.facts import AgentLook, Late, Reply, Trial
from tui.system.audit_log import AuditTarget, append_to_audit_log, audit_record

PING_TIMEOUT_S = 5
"""libvirt 9.0 waits 5 s for the agent's sync, whatever is asked of it."""
TRIAL_S = 5.0
TRIAL_SCRIPT = (
    "id -u; cat /proc/self/attr/current 2>/dev/null | tr '\\0' '\\n'; cat /sys/fs/selinux/enforce 2>/dev/null"
)
"""Prints the user, the security label and, with SELinux, 1 where it enforces."""


class Interrogation:
    """Asks an agent what it is and what it may do, in the background; ends at the first question without an answer.

    What has waited for an answer goes on waiting, until that comes, libvirt gives up, or somebody calls `leave`.
    """

    def __init__(self, line: Transport, *, with_trial: bool, target: AuditTarget | None = None) -> None:
        """`target` names the guest in the log of commands, where its trial is kept; None keeps no log."""
        self._target = target
        self._begun = time.perf_counter()
        self._known: AgentLook | None = None
        self._task = asyncio.create_task(self._ask(line, with_trial=with_trial))

    @property
    def is_over(self) -> bool:
        """Whether no question waits any more."""
        return self._task.done()

    async def within(self, seconds: float) -> AgentLook:
        """All that is known at the end, or when `seconds` more have passed: then a question is `Late`."""
        await asyncio.wait({self._task}, timeout=max(seconds, 0.0))
        if self._task.done():
            return self._task.result()
        waited = time.perf_counter() - self._begun
        if self._known is None:
            return AgentLook(Reply(waited * 1000, Late(waited)))
        return replace(self._known, trouble=Late(waited))

    def leave(self) -> None:
        """Ask no more; an answer that still comes is dropped."""
        self._task.cancel()

    async def _ask(self, line: Transport, *, with_trial: bool) -> AgentLook:
        look = AgentLook(await self._timed(commands.ping(line, PING_TIMEOUT_S)))
        if look.ping.trouble is not None and not isinstance(look.ping.trouble, CommandFailedError):
            return look
        self._known = look
        try:
            async for said in _told(line, look, self._target, with_trial=with_trial):
                look = self._known = said
        except AgentError as error:
            return replace(look, trouble=await _once_returned(error) or error)
        return look

    async def _timed(self, question: Awaitable[float]) -> Reply:
        trouble: AgentError | None = None
        try:
            await question
        except AgentError as error:
            trouble = await _once_returned(error)
        return Reply((time.perf_counter() - self._begun) * 1000, trouble)


async def _once_returned(error: AgentError) -> AgentError | None:
    """What a call came to that the hypervisor had not returned in time; any other error as it is."""
    if not isinstance(error, NotReturnedError):
        return error
    try:
        await asyncio.shield(error.returned)
    except AgentError as final:
        return final
    return None


async def _told(
    line: Transport, look: AgentLook, target: AuditTarget | None, *, with_trial: bool
) -> AsyncGenerator[AgentLook, None]:
    """What is known after each answer."""
    info = await commands.info(line)
    look = replace(look, info=info)
    yield look
    if info.offers("guest-fsfreeze-status"):
        frozen = await commands.fsfreeze_status(line) is commands.FreezeStatus.FROZEN
        look = replace(look, frozen=frozen)
        yield look
    if info.offers("guest-get-osinfo"):
        try:
            look = replace(look, os=await commands.osinfo(line))
        except CommandFailedError:
            look = replace(look, os=commands.OsInfo())
        yield look
    if info.offers("guest-get-time"):
        asked = time.time()
        guest_ns = integer(await call(line, "guest-get-time", timeout_s=PING_TIMEOUT_S), "guest-get-time")
        look = replace(look, clock_off_s=guest_ns / 1e9 - (asked + time.time()) / 2)
        yield look
    if with_trial and not look.frozen and info.offers("guest-exec", "guest-exec-status"):
        windows = look.os is not None and look.os.id == "mswindows"
        yield replace(look, trial=await (_windows_trial(line, target) if windows else _trial(line, target)))


async def _logged(line: Transport, target: AuditTarget | None, *words: str) -> commands.ExecStatus:
    """Run a program, with an entry in the log of commands for its start and one for its end."""

    def note(event: str, **what: object) -> None:
        if target is not None:
            append_to_audit_log(audit_record(target, {"event": event, "by": "doctor", "command": words, **what}))

    note("started")
    try:
        status = await ask(line, *words, within_s=TRIAL_S)
    except BaseException as error:
        note("ended", end="not known", exit_code=None, signal=None, reason=str(error))
        raise
    note("ended", end="exited", exit_code=status.exit_code, signal=status.signal)
    return status


async def _trial(line: Transport, target: AuditTarget | None) -> Trial:
    try:
        status = await _logged(line, target, "/bin/sh", "-c", TRIAL_SCRIPT)
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        return Trial(refusal=error.cause or error.original)
    if status.exit_code in (126, 127):
        return Trial(refusal=status.err.decode("utf-8", "replace").strip() or f"exit status {status.exit_code}")
    words = status.out.decode("utf-8", "replace").splitlines()
    return Trial(
        user=words[0] if words else "",
        confined=next((word for word in words[1:] if ":" in word), ""),
        enforcing=words[-1:] == ["1"] and len(words) > 1,
    )


async def _windows_trial(line: Transport, target: AuditTarget | None) -> Trial:
    try:
        status = await _logged(line, target, "cmd.exe", "/c", "ver")
    except CommandUnavailableError:
        raise
    except CommandFailedError as error:
        return Trial(refusal=error.cause or error.original)
    return Trial() if status.exit_code is not None else Trial(refusal=f"ended by {status.signal}")
