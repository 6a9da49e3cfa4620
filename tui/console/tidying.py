"""The ends of commands, taken behind their output: each tidies up in the guest while the next line is typed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tui.agent.exec_model import ExecEvent


class Tidying:
    """`surroundings_known` is set while no command is yet to say what it leaves to the next one."""

    def __init__(self) -> None:
        self.surroundings_known = asyncio.Event()
        self.surroundings_known.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def over(self) -> None:
        """Wait until nothing of earlier commands is left in the guest."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @asynccontextmanager
    async def behind(
        self,
        events: AsyncGenerator[ExecEvent, None],
        note: Callable[[ExecEvent], Awaitable[None]],
        afterwards: Callable[[], None],
    ) -> AsyncIterator[None]:
        """Takes `events` to their end once the body, which takes the first of them, is over.

        A command that did not come to its end is ended there first.
        """

        async def tidy() -> None:
            try:
                async for event in events:
                    await note(event)
            finally:
                known.set()
            afterwards()

        try:
            yield
        except BaseException:
            await events.aclose()
            raise
        known = self.surroundings_known = asyncio.Event()
        task = asyncio.create_task(tidy(), name="tidying up")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
