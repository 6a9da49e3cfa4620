"""Output through bounded segments in a private folder of the guest, read while the command writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start
from tui.agent.exec_folder import RunFolder, begin, make_folder, release, remove_folder
from tui.agent.exec_input import feed_pieces
from tui.agent.exec_model import EXPORTS_LIMIT, CommandLine, ExecRequest, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_segments import Segments, read_ends
from tui.agent.exec_source import START_TIMEOUT_S, surrounded
from tui.agent.files import read_chunk
from tui.agent.transport import Transport

QUIET_S = 0.04
"""Seconds after the start in which only the end of a command is asked for: a short one is over by then, and each
question costs the guest time."""


class Streamed:
    """A command that leads a session of its own, so that its pid is its group's.

    At most WINDOW segments of each stream wait in the guest; a command that writes faster than we read waits too.
    """

    mode = Mode.STREAMED
    leads_group = True

    def __init__(
        self, transport: Transport, request: ExecRequest, *, is_fed: bool = False, ready: RunFolder | None = None
    ) -> None:
        """`is_fed` says that input will come by `feed`; `ready` is a folder that was made ahead, and is now ours."""
        self.cut = False
        self._transport = transport
        self._request = request
        self._is_fed = is_fed
        self._folder = ready
        self._streams: dict[Stream, Segments] = {}
        self._quiet_until = 0.0
        surrounded(request)

    @property
    def is_dry(self) -> bool:
        """Whether both streams were read to their ends."""
        return all(segments.is_dry for segments in self._streams.values())

    async def prepare(self) -> None:
        """Make the folder where there is none; raises what `make_folder` raises."""
        if self._folder is None:
            self._folder = await make_folder(self._transport, self._request.cwd, is_fed=self._is_fed)

    async def start(self) -> int:
        """Start the command; its pid is the shell's that becomes it."""
        pid = await self._become() or await self._start_anew()
        self._streams = {stream: Segments(self._transport, f"{self._path}/{name}") for stream, name in _NAMES.items()}
        self._quiet_until = asyncio.get_running_loop().time() + QUIET_S
        return pid

    async def _become(self) -> int:
        """Let the shell that waits in a ready folder become the command; 0 where none does."""
        folder, request = self._folder, self._keeping_request()
        if folder is None or not folder.runner:
            return 0
        program = request.program
        exported = request.exports + scripts.exports(request.env).encode("utf-8", "surrogateescape")
        text = scripts.command_text(request.cwd, exported, (program.path, *program.args))
        if await begin(self._transport, folder, text):
            return folder.runner
        self._folder = None
        await release(self._transport, folder)
        await self.prepare()
        return 0

    async def _start_anew(self) -> int:
        surround, data = surrounded(self._keeping_request(), f"{self._path}/i" if self._is_fed else "/dev/null")
        feed = scripts.FEED if self._is_fed else ""
        words = (scripts.SHELL, "-c", scripts.STREAMED, scripts.SHELL, scripts.PUMP, feed, self._path, *surround)
        return await exec_start(
            self._transport, "setsid", words, input_data=data, capture=False, timeout_s=START_TIMEOUT_S
        )

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

    async def drain(self, status: ExecStatus, *, is_gone: bool) -> list[Output | Notice]:
        """What came of each stream, READ_PIECE and a segment at most."""
        now = asyncio.get_running_loop().time()
        notices: list[Notice] = []
        if is_gone:
            notices = await self._drain_to_the_end(now)
        elif now >= self._quiet_until:
            for segments in self._streams.values():
                await segments.fill()
        taken = ((stream, segments.take()) for stream, segments in self._streams.items())
        return [*(Output(stream, data) for stream, data in taken if data), *notices]

    async def _drain_to_the_end(self, now: float) -> list[Notice]:
        ends = await read_ends(self._transport, f"{self._path}/end")
        if ends is None:
            for segments in self._streams.values():
                segments.give_up()
            self.cut = True
            return [Notice("Its folder in the guest is gone: what it wrote last could not be read.")]
        for stream, segments in self._streams.items():
            await segments.fill_to_the_end(now, ends.get(_NAMES[stream]))
        return self._last_notices() if self.is_dry else []

    def _last_notices(self) -> list[Notice]:
        """What is to be said of output that will not come; the drain that finds both streams dry is the last one."""
        notices = []
        for stream, segments in self._streams.items():
            if segments.was_lost:
                self.cut = True
                notices.append(Notice(f"The guest had no room for all of {stream}; the rest is lost."))
            elif segments.is_held_open:
                notices.append(
                    Notice(f"A process in the background holds {stream} open; what it writes from now on is not shown.")
                )
        return notices

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """Hand `pieces` on as they come, a bounded number of bytes ahead of the command."""
        await feed_pieces(self._transport, self._path, pieces)

    async def surroundings(self) -> Surroundings | None:
        """What the shell left when it ended by itself."""
        if not self._request.keeps_surroundings or not isinstance(self._request.command, CommandLine):
            return None
        kept = await read_chunk(self._transport, f"{self._path}/kept", 0)
        cwd, nul, exports = kept.partition(b"\0")
        if not nul or len(exports) > EXPORTS_LIMIT:
            return None
        return Surroundings(cwd.decode("utf-8", "surrogateescape"), exports)

    async def remove(self) -> None:
        """Remove the folder, in one attempt."""
        folder, self._folder = self._folder, None
        if folder is not None:
            await remove_folder(self._transport, folder)


_NAMES = {Stream.STDOUT: "o", Stream.STDERR: "e"}
