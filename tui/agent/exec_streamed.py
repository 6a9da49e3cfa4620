"""Output through bounded segments in a private folder of the guest, read while the command writes them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import replace
from functools import partial

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start
from tui.agent.errors import AgentError, NeverBegunError, StartInDoubtError
from tui.agent.every_step import every_step
from tui.agent.exec_ahead import ReadyRun, begin, close_handles, release, settle
from tui.agent.exec_ends import Endings
from tui.agent.exec_folder import make_folder, remove_folder
from tui.agent.exec_input import feed_pieces
from tui.agent.exec_model import EXPORTS_LIMIT, CommandLine, ExecPace, ExecRequest, Mode, Notice, Output, Surroundings
from tui.agent.exec_pump import pump
from tui.agent.exec_reading import RunReading
from tui.agent.exec_source import START_TIMEOUT_S, surrounded
from tui.agent.files import read_chunk
from tui.agent.held_file import HeldFile
from tui.agent.transport import Transport

_PID = re.compile(rb"(\d{1,10})\n")
_SAYS_PID_S, _LOOK_AGAIN_S = 5.0, 0.05
"""Seconds in which a shell that was started must have left its pid, and between two looks for it."""


class Streamed:
    """A command that leads a session of its own, so that its pid is its group's.

    At most WINDOW segments of each stream wait in the guest; a command that writes faster than we read waits too.
    """

    mode = Mode.STREAMED
    leads_group = True

    def __init__(
        self,
        transport: Transport,
        request: ExecRequest,
        *,
        pace: ExecPace,
        is_fed: bool = False,
        ready: ReadyRun | None = None,
    ) -> None:
        """`is_fed` says that input will come by `feed`; `ready` was made ahead, and is now ours.

        Output that nobody reads for `pace.unread` seconds is taken for abandoned in the guest.
        """
        self._transport = transport
        self._request = request
        self._pace = pace
        self._pump = pump(pace.unread)
        self._is_fed = is_fed
        self._ready = ready
        self._folder = ready.folder if ready is not None else None
        self._reading: RunReading | None = None
        self._in_doubt: Endings | None = None
        self._never_began = False
        surrounded(request)

    @property
    def is_dry(self) -> bool:
        """Whether both streams were read to their ends."""
        return self._never_began or self._started.is_dry

    @property
    def cut(self) -> bool:
        """Whether the command wrote more than could be read."""
        return self._reading is not None and self._reading.cut

    @property
    def _started(self) -> RunReading:
        if self._reading is None:
            raise RuntimeError("the command was not started, or its files are removed")
        return self._reading

    async def prepare(self) -> None:
        """Make the folder where there is none; raises what `make_folder` raises."""
        if self._folder is None:
            self._folder = await make_folder(self._transport, self._request.cwd, is_fed=self._is_fed)

    async def start(self) -> int:
        """Start the command; its pid is the shell's that becomes it."""
        if self._ready is not None and await self._become(self._ready):
            return self._ready.runner
        pid = await self._start_anew()
        endings = Endings(HeldFile(self._transport, f"{self._path}/end"))
        self._reading = RunReading(self._transport, self._path, pid, endings, patience_s=self._pace.patience)
        return pid

    async def _become(self, ready: ReadyRun) -> bool:
        """Let the shell that waits become the command; false where none does, and a folder without one was made."""
        request, endings = self._keeping_request(), ready.endings
        program = request.program
        exported = request.exports + scripts.exports(request.env).encode("utf-8", "surrogateescape")
        text = scripts.command_text(request.cwd, exported, (program.path, *program.args))
        begun = await begin(self._transport, ready, text)
        if begun is not None:
            self._reading = RunReading(
                self._transport, self._path, ready.runner, endings, ready.firsts, self._pace.patience
            )
            self._reading.learn(begun.status)
            self._in_doubt = None if begun.is_sure else endings
            return True
        self._folder = self._ready = None
        await release(self._transport, ready)
        await self.prepare()
        return False

    async def _start_anew(self) -> int:
        surround, data = surrounded(self._keeping_request(), f"{self._path}/i" if self._is_fed else "/dev/null")
        feed = scripts.FEED if self._is_fed else ""
        words = (scripts.SHELL, "-c", scripts.STREAMED, scripts.SHELL, self._pump, feed, self._path, *surround)
        try:
            return await exec_start(
                self._transport, "setsid", words, input_data=data, capture=False, timeout_s=START_TIMEOUT_S
            )
        except AgentError as error:
            if not error.may_have_acted:
                raise
            pid = await self._left_pid()
            if not pid:
                raise StartInDoubtError(error) from error
            return pid

    async def _left_pid(self) -> int:
        """The pid that the command's shell left in the folder; 0 where none came, or the agent does not say."""
        try:
            async with asyncio.timeout(_SAYS_PID_S):
                while True:
                    said = _PID.match(await read_chunk(self._transport, f"{self._path}/pid", 0))
                    if said is not None:
                        return int(said[1])
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except (AgentError, TimeoutError):
            return 0

    def _keeping_request(self) -> ExecRequest:
        """The request, with a line that leaves its surroundings where that is asked for."""
        request, command = self._request, self._request.command
        if not request.keeps_surroundings or not isinstance(command, CommandLine):
            return request
        head = scripts.keeping(self._path, command.shell)
        return replace(request, command=replace(command, text=head + command.text))

    @property
    def _path(self) -> str:
        if self._folder is None:
            raise RuntimeError("the folder was not made, or is removed")
        return self._folder.path

    async def status(self) -> ExecStatus:
        """Whether the command has ended, and how; raises NeverBegunError where it was only taken for started."""
        if self._in_doubt is not None and self._ready is not None:
            if await settle(self._transport, self._ready, self._in_doubt) is None:
                self._never_began = True
                raise NeverBegunError("The command never began", cause="its text did not reach the guest")
            self._in_doubt = None
        return await self._started.status()

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        """What came of each stream, READ_PIECE and a segment at most."""
        return [] if self._never_began else await self._started.drain(is_gone=is_gone)

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """Hand `pieces` on as they come, a bounded number of bytes ahead of the command."""
        await feed_pieces(self._transport, self._path, pieces)

    async def surroundings(self) -> Surroundings | None:
        """What the shell left when it ended by itself."""
        if not self._request.keeps_surroundings or not isinstance(self._request.command, CommandLine):
            return None
        kept = await read_chunk(self._transport, f"{self._path}/kept", 0)
        cwd, nul, exports = kept.partition(b"\n\0")
        if not nul or len(exports) > EXPORTS_LIMIT:
            return None
        return Surroundings(cwd.decode("utf-8", "surrogateescape"), exports)

    async def remove(self) -> None:
        """Give back the handles and remove the folder, in one attempt."""
        folder, self._folder = self._folder, None
        reading, self._reading = self._reading, None
        ready, self._ready = self._ready, None
        if folder is None:
            return
        if ready is not None and (reading is None or self._never_began):
            await release(self._transport, ready)
            return
        steps: list[Callable[[], Awaitable[None]]] = [partial(remove_folder, self._transport, folder)]
        steps += [] if reading is None else [reading.close]
        steps += [] if ready is None else [partial(close_handles, ready)]
        if self._in_doubt is not None:
            # To close a handle may hand the guest a command that nobody follows any more: without a folder none begins.
            await steps.pop(0)()
        await every_step(*steps)
