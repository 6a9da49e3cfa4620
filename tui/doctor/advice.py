"""What to do about an agent's error in the words of the guest's own system, which the agent is asked for."""

from __future__ import annotations

import asyncio

from tui.agent import commands
from tui.agent.errors import AgentError, CommandUnavailableError
from tui.agent.transport import Transport
from tui.doctor.reasons import explain
from tui.doctor.systems import UNKNOWN_SYSTEM, System, system_of
from tui.model.errors import ExplainedError

PATIENCE_S = 5.0
"""Seconds for the agent's answers; without them the advice is for a system that is not known."""


async def advise(line: Transport, error: ExplainedError) -> ExplainedError:
    """The same error with the step that mends it, as `explain`; a policy's is that of the guest's distribution.

    Asks the agent behind `line` only where it refused a command, and raises nothing.
    """
    if not isinstance(error, CommandUnavailableError):
        return explain(error)
    try:
        async with asyncio.timeout(PATIENCE_S):
            info = await commands.info(line)
            return explain(error, await _system(line, info), frozen=await _is_frozen(line, info))
    except (AgentError, TimeoutError):
        return explain(error)


async def _is_frozen(line: Transport, info: commands.AgentInfo) -> bool:
    """Newer agents refuse with the same words whether their policy forbids a command or a freeze does."""
    if not info.offers("guest-fsfreeze-status"):
        return False
    return await commands.fsfreeze_status(line) is commands.FreezeStatus.FROZEN


async def _system(line: Transport, info: commands.AgentInfo) -> System:
    if not info.offers("guest-get-osinfo"):
        return UNKNOWN_SYSTEM
    said = await commands.osinfo(line)
    return system_of(said.id, "the agent says so", said.version_id)
