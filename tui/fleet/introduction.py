"""Asks an agent, once per start, who it is: version, commands, operating system, name and address."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar

from tui.agent import commands, guest_facts
from tui.agent.errors import CommandFailedError, MalformedReplyError
from tui.agent.profile import EXEC_COMMANDS, FILE_COMMANDS
from tui.agent.transport import Transport
from tui.doctor.reasons import explain
from tui.model.guest import Address, AddressSource, AgentFacts

COMMANDS_KEPT = 400
"""Commands of a kind that are kept of an agent's list; qemu-ga has about sixty, a hostile one any number."""
TEXT_KEPT = 200
"""Characters that are kept of a version or a name: each one is kept for as long as the program runs."""
NAME_KEPT = 80
"""Characters of a command's name that are kept."""


async def introduce(line: Transport, timeout_s: int) -> AgentFacts:
    """Everything the agent says of itself; what it refuses stays empty. Raises AgentError where it falls silent."""
    info, unlisted = await _info(line, timeout_s)
    system = await _or(commands.osinfo(line, timeout_s), commands.OsInfo())
    found = await _or(guest_facts.interfaces(line, timeout_s), ())
    address = guest_facts.main_address(found)
    return AgentFacts(
        version=_short(info.version),
        blocked=_kept(info.disabled),
        os_id=_short(system.id),
        os_name=_short(system.pretty_name or system.name),
        host_name=_short(await _or(guest_facts.host_name(line, timeout_s), "")),
        address=Address(_short(address), AddressSource.AGENT) if address else None,
        enabled=_kept(info.enabled),
        unlisted=unlisted,
    )


async def _info(line: Transport, timeout_s: int) -> tuple[commands.AgentInfo, str]:
    """Version and commands, with why no command is known."""
    try:
        info = await commands.info(line, timeout_s)
    except (CommandFailedError, MalformedReplyError) as error:
        return commands.AgentInfo("", frozenset(), frozenset()), explain(error).one_line()
    return info, "" if info.enabled or info.disabled else "its answer to guest-info lists no command"


def _short(text: str) -> str:
    return text[:TEXT_KEPT]


def _kept(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name[:NAME_KEPT] for name in sorted(names)[:COMMANDS_KEPT])


T = TypeVar("T")


async def _or(question: Awaitable[T], otherwise: T) -> T:
    try:
        return await question
    except (CommandFailedError, MalformedReplyError):
        return otherwise


FREEZE_COMMANDS = frozenset({"guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-fsfreeze-status"})


def badges(facts: AgentFacts | None) -> tuple[str, ...]:
    """What a policy keeps a guest from: `no exec`, `no files`, `no freeze`."""
    if facts is None:
        return ()
    kinds = (("exec", EXEC_COMMANDS), ("files", FILE_COMMANDS), ("freeze", FREEZE_COMMANDS))
    return tuple(f"no {name}" for name, needed in kinds if not facts.blocked.isdisjoint(needed))
