"""One folder kept waiting in the guest for the next command of a console, so that it starts at once."""

from __future__ import annotations

import asyncio
import logging

from tui.agent.errors import AgentError
from tui.agent.exec_folder import RunFolder, make_folder_ahead, release
from tui.agent.exec_source import NotStreamableError
from tui.agent.transport import Transport

_log = logging.getLogger(__name__)
IDLE_S = 300.0
"""Seconds after which a console in which nothing is run lets go of its folder."""
LEAVING_S = 2.0
"""Seconds that a program which ends waits for the guest to remove the folder; it goes by itself there, a bit later."""


class FolderAhead:
    """Makes, keeps and gives the folder. All methods belong to the event loop's thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._folder: RunFolder | None = None
        self._is_made = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def want(self, cwd: str) -> None:
        """Have a folder for a command in `cwd`, made in the background unless there is one."""
        if self._keeping is not None and not self._keeping.done():
            if self._folder is None or self._folder.cwd == cwd:
                return
            self._keeping.cancel()
        self._is_made = asyncio.Event()
        self._keeping = asyncio.create_task(self._keep(cwd, self._is_made), name="folder kept ready")

    async def take(self, cwd: str) -> RunFolder | None:
        """The folder, which is the caller's from now on; None where none fits a command in `cwd`."""
        if self._keeping is None or self._keeping.done():
            return None
        await self._is_made.wait()
        folder = self._folder
        if folder is not None and folder.cwd == cwd and folder.is_fresh:
            self._folder = None
        else:
            folder = None
        self._keeping.cancel()
        return folder

    async def drop(self) -> None:
        """Remove the folder."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping}, timeout=2 * LEAVING_S)

    async def _keep(self, cwd: str, is_made: asyncio.Event) -> None:
        try:
            await self._made_in_time(asyncio.create_task(self._make(cwd)))
            is_made.set()
            await asyncio.sleep(IDLE_S)
        except (AgentError, NotStreamableError) as error:
            _log.info("no folder is kept ready in the guest: %s", error)
        finally:
            is_made.set()
            folder, self._folder = self._folder, None
            if folder is not None:
                await self._let_go(folder)

    async def _made_in_time(self, making: asyncio.Task[None]) -> None:
        """Wait for a folder that is being made; when it is not wanted any more, for a moment only."""
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.wait({making}, timeout=LEAVING_S)
            making.cancel()
            raise

    async def _make(self, cwd: str) -> None:
        folder = await make_folder_ahead(self._transport, cwd)
        if folder.runner:
            self._folder = folder
        else:
            await release(self._transport, folder)

    async def _let_go(self, folder: RunFolder) -> None:
        try:
            async with asyncio.timeout(LEAVING_S):
                await release(self._transport, folder)
        except (AgentError, TimeoutError) as error:
            _log.info("%s goes by itself in the guest, or with the next sweep: %s", folder.path, error)
