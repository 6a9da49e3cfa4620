"""Output of a Windows command: in private files that its own shell writes, read when it has ended.

The agent captures nothing of it: a reply that is too large would end its line for everybody. While a command writes a
file the agent cannot open it, for it lets nobody write what it reads (FILE_SHARE_READ).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterable

from tui.agent import exec_cmd as cmd
from tui.agent.commands import ExecStatus, exec_start, exec_status
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, StartInDoubtError
from tui.agent.every_step import every_step
from tui.agent.exec_model import INPUT_LIMIT, ExecRequest, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_scripts import GUARD
from tui.agent.exec_shell import ask
from tui.agent.exec_source import START_TIMEOUT_S, NotStreamableError, too_much_input
from tui.agent.files import opened
from tui.agent.held_file import HeldFile
from tui.agent.owner import run_folder_name
from tui.agent.transport import Transport

_POWERSHELL_S = 60.0
_NAMES = {Stream.STDOUT: "o", Stream.STDERR: "e"}
_HEAD = (
    "$f=[IO.File]::Open('{path}','Open','Read','ReadWrite');$b=New-Object byte[] {limit};$n=0;"
    "while(($r=$f.Read($b,$n,$b.Length-$n)) -gt 0){{$n+=$r}};"
    "$s=[Console]::OpenStandardOutput();$s.Write($b,0,$n);$s.Flush()"
)
"""For PowerShell: the first `limit` bytes of a file, whoever writes it."""


class Redirected:
    """A command of a Windows guest. Where the agent offers no files, PowerShell hands over GUARD bytes of each."""

    mode = Mode.CAPTURED
    leads_group = False

    def __init__(self, transport: Transport, request: ExecRequest, *, offers_files: bool) -> None:
        """Raises CommandFailedError for what cmd.exe cannot be given."""
        self.offers_files = offers_files
        self.cut = False
        self._transport = transport
        self._request = request
        self._folder = ""
        self._pid = 0
        self._status = ExecStatus(exited=False)
        self._unread: dict[Stream, HeldFile] = {}
        self._taken: list[Output | Notice] = []
        self._input = b""
        self._has_input_file = False
        cmd.argument(request, "")

    @property
    def is_dry(self) -> bool:
        """Whether both outputs were read to their ends."""
        return not self._unread

    async def prepare(self) -> None:
        """Make the folder. Raises NotStreamableError where there is none, CommandFailedError for a missing `cwd`."""
        name = f"{run_folder_name()}.{secrets.token_hex(8)}"
        cwd = self._request.cwd
        try:
            made = await self._ask_cmd(cmd.prepare(name, cwd))
        except CommandUnavailableError:
            raise
        except CommandFailedError as error:
            raise NotStreamableError(f"the guest has no {cmd.CMD}") from error
        if made.exit_code == cmd.NO_CWD:
            raise CommandFailedError("The command was not started", cause=f"the guest has no folder {cwd!r}")
        self._folder = cmd.folder_of(made.out) if made.exit_code == 0 else ""
        if not self._folder:
            await self._ask_cmd(f"cd /d %TEMP%&&{cmd.remove(name)}")
            raise NotStreamableError("no private folder could be made in the agent's temporary folder")
        self._unread = {stream: HeldFile(self._transport, f"{self._folder}\\{name}") for stream, name in _NAMES.items()}

    async def take_input(self, pieces: AsyncIterable[bytes] | None) -> None:
        """Hand over all input before the start. Raises RequestTooLargeError where only a request can carry it."""
        if pieces is None:
            pieces = _one(self._request.stdin)
        if self.offers_files:
            async with opened(self._transport, f"{self._folder}\\i", "w") as file:
                async for piece in pieces:
                    await file.write(piece)
                    self._has_input_file = self._has_input_file or bool(piece)
                await file.flush()
            return
        async for piece in pieces:
            self._input += piece
            if len(self._input) > INPUT_LIMIT:
                raise too_much_input(len(self._input))

    async def start(self) -> int:
        """Start the command with each output in its file."""
        source = "" if self._input else f"<{self._folder}\\i " if self._has_input_file else "<nul "
        redirections = f">{self._folder}\\o 2>{self._folder}\\e {source}"
        words = cmd.switches(cmd.argument(self._request, redirections))
        try:
            self._pid = await exec_start(
                self._transport, cmd.CMD, words, input_data=self._input, capture=False, timeout_s=START_TIMEOUT_S
            )
        except AgentError as error:
            if error.may_have_acted:
                raise StartInDoubtError(error) from error
            raise
        return self._pid

    async def status(self) -> ExecStatus:
        """What the agent says."""
        if not self._status.exited:
            self._status = await exec_status(self._transport, self._pid)
        return self._status

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        """Of a command that has ended, the next READ_PIECE of each output."""
        if is_gone:
            for stream in tuple(self._unread):
                await self._read(stream)
        taken, self._taken = self._taken, []
        return taken

    async def _read(self, stream: Stream) -> None:
        file = self._unread[stream]
        data = await file.read() if self.offers_files else None
        if data:
            self._taken.append(Output(stream, data))
            return
        if data is None:
            self._taken += await self._head(stream, file.path)
        await file.close()
        del self._unread[stream]

    async def _head(self, stream: Stream, path: str) -> list[Output | Notice]:
        """What PowerShell reads of a file that the agent does not open."""
        script = base64.b64encode(_HEAD.format(path=path, limit=GUARD).encode("utf-16-le")).decode("ascii")
        words = ("-NoProfile", "-NonInteractive", "-EncodedCommand", script)
        try:
            said = await ask(self._transport, "powershell.exe", *words, within_s=_POWERSHELL_S)
        except CommandUnavailableError:
            raise
        except CommandFailedError:
            said = ExecStatus(exited=True)
        if said.exit_code != 0:
            self.cut = True
            return [Notice(f"What it wrote to {stream} could not be read, and is lost: no PowerShell read it.")]
        events: list[Output | Notice] = [Output(stream, said.out)] if said.out else []
        self.cut = self.cut or len(said.out) >= GUARD
        if self.offers_files:
            words_on_it = f"A process in the background holds {stream} open; what it writes from now on is not shown."
            events.append(Notice(words_on_it))
        return events

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """Its input was handed over before the start."""

    async def surroundings(self) -> Surroundings | None:
        """What its shell leaves is not asked for."""
        return None

    async def remove(self) -> None:
        """Give back the handles and remove the folder, in one attempt."""
        folder, self._folder = self._folder, ""
        unread, self._unread = self._unread, {}
        if not folder:
            return

        async def remove() -> None:
            removed = await self._ask_cmd(cmd.remove(folder))
            if removed.out.strip():
                raise CommandFailedError(f"{folder} was left in the guest", cause="it could not be removed")

        await every_step(*(each.close for each in unread.values()), remove)

    async def _ask_cmd(self, text: str) -> ExecStatus:
        return await ask(self._transport, cmd.CMD, *cmd.switches(text))


async def _one(data: bytes) -> AsyncIterable[bytes]:
    if data:
        yield data
