"""Steps that tidy up in a guest, each taken whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tui.agent.errors import AgentError, UnansweredError


async def every_step(*steps: Callable[[], Awaitable[None]]) -> None:
    """Take the steps in their order, and raise the first `AgentError` afterwards.

    Two in a row that got no answer are the last ones: each waits for its whole time, and the agent is silent.
    """
    first: AgentError | None = None
    silences = 0
    for step in steps:
        try:
            await step()
        except AgentError as error:
            first = first or error
            silences = silences + 1 if isinstance(error, UnansweredError) else 0
        else:
            silences = 0
        if silences == 2:
            break
    if first is not None:
        raise first
