"""Output through bounded segments in a private folder of the guest, read while the command writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import replace

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.exec_input import feed_pieces
from tui.agent.exec_model import EXPORTS_LIMIT, CommandLine, ExecRequest, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_segments import Segments
from tui.agent.exec_shell import ask
from tui.agent.exec_source import START_TIMEOUT_S, NotStreamableError, surrounded
from tui.agent.files import read_chunk
from tui.agent.owner import run_folder_name
from tui.agent.transport import Transport


class Streamed:
    """A command that leads a session of its own, so that its pid is its group's.

    At most WINDOW segments of each stream wait in the guest; a command that writes faster than we read waits too.
    """

    mode = Mode.STREAMED
    leads_group = True

    def __init__(self, transport: Transport, request: ExecRequest, *, is_fed: bool = False) -> None:
        """`is_fed` says that input will come by `feed`."""
        self.cut = False
        self._transport = transport
        self._request = request
        self._is_fed = is_fed
        self._folder = ""
        self._streams: dict[Stream, Segments] = {}
        surrounded(request)

    @property
    def is_dry(self) -> bool:
        """Whether both streams were read to their ends."""
        return all(segments.is_dry for segments in self._streams.values())

    async def prepare(self) -> None:
        """Make the folder; raises NotStreamableError where that cannot be, CommandFailedError for a missing cwd."""
        try:
            words = (self._request.cwd, run_folder_name(), "i" if self._is_fed else "")
            made = await ask(self._transport, scripts.SHELL, "-c", scripts.PREPARE, scripts.SHELL, *words)
        except CommandUnavailableError:
            raise
        except CommandFailedError as error:
            raise NotStreamableError(f"the guest has no {scripts.SHELL}") from error
        said = made.out.decode("utf-8", "replace").strip()
        match made.exit_code:
            case 0 if said.startswith("/") and said.isprintable():
                self._folder = said
            case scripts.NO_CWD:
                raise CommandFailedError(
                    "The command was not started",
                    cause=f"the guest has no folder {self._request.cwd!r}",
                    original=made.err.decode("utf-8", "replace").strip(),
                )
            case scripts.NO_TOOL:
                raise NotStreamableError(f"the guest has no {said}")
            case _:
                raise NotStreamableError("no temporary folder could be made in the guest")

    async def start(self) -> int:
        """Start the command; its pid is the shell's that becomes it."""
        names = {Stream.STDOUT: "o", Stream.STDERR: "e"}
        self._streams = {stream: Segments(self._transport, f"{self._folder}/{name}") for stream, name in names.items()}
        request, command = self._request, self._request.command
        if request.keeps_surroundings and isinstance(command, CommandLine):
            request = replace(request, command=replace(command, text=scripts.keeping(self._folder) + command.text))
        surround, data = surrounded(request, f"{self._folder}/i" if self._is_fed else "/dev/null")
        feed = scripts.FEED if self._is_fed else ""
        words = (scripts.SHELL, "-c", scripts.STREAMED, scripts.SHELL, scripts.PUMP, feed, self._folder, *surround)
        return await exec_start(
            self._transport, "setsid", words, input_data=data, capture=False, timeout_s=START_TIMEOUT_S
        )

    async def drain(self, status: ExecStatus, *, is_gone: bool) -> list[Output | Notice]:
        """What came of each stream, READ_PIECE and a segment at most."""
        for segments in self._streams.values():
            if is_gone:
                await segments.fill_to_the_end(asyncio.get_running_loop().time())
            else:
                await segments.fill()
        notices = await self._last_notices() if self.is_dry else []
        taken = ((stream, segments.take()) for stream, segments in self._streams.items())
        return [*(Output(stream, data) for stream, data in taken if data), *notices]

    async def _last_notices(self) -> list[Notice]:
        """What is to be said of output that will not come; the drain that finds both streams dry is the last one."""
        notices = []
        for stream, segments in self._streams.items():
            if await segments.was_lost():
                self.cut = True
                notices.append(Notice(f"The guest had no room for all of {stream}; the rest is lost."))
            elif segments.is_held_open:
                notices.append(
                    Notice(f"A process in the background holds {stream} open; what it writes from now on is not shown.")
                )
        return notices

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """Hand `pieces` on as they come, a bounded number of bytes ahead of the command."""
        await feed_pieces(self._transport, self._folder, pieces)

    async def surroundings(self) -> Surroundings | None:
        """What the shell left when it ended by itself."""
        if not self._request.keeps_surroundings or not isinstance(self._request.command, CommandLine):
            return None
        kept = await read_chunk(self._transport, f"{self._folder}/kept", 0)
        cwd, nul, exports = kept.partition(b"\0")
        if not nul or len(exports) > EXPORTS_LIMIT:
            return None
        return Surroundings(cwd.decode("utf-8", "surrogateescape"), exports)

    async def remove(self) -> None:
        """Remove the folder, in one attempt; what still writes is read by its pump and forgotten."""
        folder, self._folder = self._folder, ""
        if not folder:
            return
        removed = await ask(self._transport, scripts.SHELL, "-c", scripts.REMOVE, scripts.SHELL, folder)
        if removed.out:
            raise CommandFailedError(f"{folder} was left in the guest", cause="it could not be removed")
