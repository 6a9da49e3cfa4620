"""What is left in the guest of a command that nobody follows any more."""

from __future__ import annotations

from tui.agent.errors import AgentError
from tui.agent.exec_shell import survivors, windows_survivors
from tui.agent.transport import Transport
from tui.doctor.advice import advise


async def remains_in_words(transport: Transport, pid: int, *, windows: bool) -> str:
    """One line, raw; also where the agent cannot be asked."""
    try:
        left = await (windows_survivors(transport, pid) if windows else survivors(transport, pid, leads_group=True))
    except AgentError as error:
        return f"pid {pid}: {(await advise(transport, error)).one_line()}"
    return f"pid {pid}: " + (f"still there: {', '.join(left)}" if left else "nothing of it is left in the guest")
