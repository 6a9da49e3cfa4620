"""One run kept ready in the guest for the next command of a console, so that it starts at once."""

from __future__ import annotations

import asyncio
import logging

from tui.agent.errors import AgentError
from tui.agent.exec_ahead import ReadyRun, make_ready, release
from tui.agent.exec_source import NotStreamableError
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
IDLE_S = 300.0
"""Seconds after which a console in which nothing is run lets go of its run."""
LEAVING_S = 2.0
"""Seconds that a program which ends waits for the guest to remove it; it goes by itself there, a bit later."""


class RunAhead:
    """Makes, keeps and gives the ready run. All methods belong to the event loop's thread."""

    def __init__(self, transport: Transport, *, unread_s: float) -> None:
        """`unread_s` is the `unread` of the commands' pace."""
        self._transport = transport
        self._unread_s = unread_s
        self._run: ReadyRun | None = None
        self._is_made = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def want(self, cwd: str) -> None:
        """Have a run for a command in `cwd`, made in the background unless there is one."""
        if self._keeping is not None and not self._keeping.done():
            if self._run is None or self._run.folder.cwd == cwd:
                return
            self._keeping.cancel()
        self._is_made = asyncio.Event()
        self._keeping = asyncio.create_task(self._keep(cwd, self._is_made), name="run kept ready")

    async def take(self, cwd: str) -> ReadyRun | None:
        """The run, which is the caller's from now on; None where none fits a command in `cwd`."""
        if self._keeping is None or self._keeping.done():
            return None
        await self._is_made.wait()
        run = self._run
        if run is not None and run.folder.cwd == cwd and run.is_fresh:
            self._run = None
        else:
            run = None
        self._keeping.cancel()
        return run

    async def drop(self) -> None:
        """Remove it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping}, timeout=2 * LEAVING_S)

    async def _keep(self, cwd: str, is_made: asyncio.Event) -> None:
        try:
            await self._made_in_time(asyncio.create_task(self._make(cwd)))
            is_made.set()
            await asyncio.sleep(IDLE_S)
        except (AgentError, NotStreamableError) as error:
            _log.info("no run is kept ready in the guest: %s", error)
        finally:
            is_made.set()
            run, self._run = self._run, None
            if run is not None:
                await self._let_go(run)

    async def _made_in_time(self, making: asyncio.Task[None]) -> None:
        """Wait for one that is being made; when it is not wanted any more, for a moment only."""
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.wait({making}, timeout=LEAVING_S)
            making.cancel()
            raise

    async def _make(self, cwd: str) -> None:
        self._run = await make_ready(self._transport, cwd, unread_s=self._unread_s)

    async def _let_go(self, run: ReadyRun) -> None:
        try:
            async with asyncio.timeout(LEAVING_S):
                await release(self._transport, run)
        except (AgentError, TimeoutError) as error:
            _log.info("%s goes by itself in the guest, or with the next sweep: %s", run.folder.path, error)
