"""The task that hands input to a running command, and what is to be said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

from tui.agent.errors import AgentError
from tui.agent.exec_model import Mode, Notice
from tui.agent.exec_source import OutputSource


class Feeding:
    """Feeds `stdin`, where there is any, to a command of `source`. Whoever has begun it ends it."""

    def __init__(self, source: OutputSource, stdin: AsyncIterable[bytes] | None) -> None:
        self._source = source
        self._stdin = stdin
        self._task: asyncio.Task[Notice | None] | None = None

    def begin(self) -> None:
        """Feed from now on; a command whose output is captured had its input at the start."""
        if self._stdin is not None and self._source.mode is Mode.STREAMED:
            self._task = asyncio.create_task(_fed(self._source, self._stdin))

    def broken_off(self) -> Notice | None:
        """What kept input from a command that still runs, told once; None where nothing did."""
        if self._task is None or not self._task.done():
            return None
        task, self._task = self._task, None
        return task.result()

    async def end(self) -> Notice | None:
        """Stop, and say what is to be said once the command is over: what it did not take it did not want."""
        task, self._task = self._task, None
        if task is None:
            return None
        if not task.done():
            task.cancel()
        await asyncio.wait({task})
        return None if task.cancelled() else task.result()


async def _fed(source: OutputSource, stdin: AsyncIterable[bytes]) -> Notice | None:
    try:
        await source.feed(stdin)
    except (AgentError, OSError) as error:
        return Notice(f"Not all input reached the command, so it is ended: {error}")
    return None
