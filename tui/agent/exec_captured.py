"""Output that the agent collects and hands over when the command and all holders of its outputs have ended."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable
from dataclasses import replace

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start, exec_status
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, StartInDoubtError
from tui.agent.exec_model import EXPORTS_LIMIT, CommandLine, ExecRequest, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_shell import ask
from tui.agent.exec_source import START_TIMEOUT_S, surrounded
from tui.agent.transport import Transport

_TOOLS = ("head", "dd", "setsid")


async def missing_tools(transport: Transport) -> frozenset[str]:
    """What the guest lacks of a shell, head, dd and setsid."""
    script = 'for t do command -v "$t" >/dev/null 2>&1 || echo "$t"; done'
    try:
        answer = await ask(transport, scripts.SHELL, "-c", script, scripts.SHELL, *_TOOLS)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return frozenset({"sh", *_TOOLS})
    return frozenset(answer.out.decode("utf-8", "replace").split())


class Captured:
    """A command of a POSIX guest whose output comes at once and late.

    Where the guest has a shell and `head` or `dd`, each stream is `guarded`: cut after GUARD bytes, so that the reply
    fits the line. A command that is killed by a signal then ends with 128 + its number, as shells put it. Elsewhere
    nothing is captured, for nothing would bound it: the program runs with no `cwd`, and its `env` in place of the
    agent's.
    """

    mode = Mode.CAPTURED

    def __init__(self, transport: Transport, request: ExecRequest, missing: frozenset[str]) -> None:
        """As safe as the guest's tools allow, of which some are `missing`."""
        self.guarded = "sh" not in missing and not missing >= {"head", "dd"}
        if request.cwd and not self.guarded:
            raise CommandFailedError(
                "The command was not started",
                cause="without a POSIX shell in the guest a program cannot be started in a folder of choice",
                next_step="Leave the folder out.",
            )
        self.leads_group = "setsid" not in missing
        self.cut = False
        self.is_dry = False
        self._keeps = request.keeps_surroundings and self.guarded and "head" not in missing
        self._transport = transport
        self._request = request
        self._mark = secrets.token_hex(16)
        self._kept = b""
        self._pid = 0
        self._status = ExecStatus(exited=False)

    async def start(self) -> int:
        """Start the command, leading a group and guarded where that is possible."""
        program = self._request.program
        words, data = (program.path, *program.args), self._request.stdin
        if self.guarded:
            surround, data = surrounded(self._keeping_request())
            guard = (scripts.SURROUND, str(scripts.GUARD), self._mark)
            words = (scripts.SHELL, "-c", scripts.GUARDED, *guard, *surround)
        if self.leads_group:
            words = ("setsid", *words)
        env = self._request.env if self._request.env and not self.guarded else None
        capture = self.guarded
        try:
            self._pid = await exec_start(
                self._transport,
                words[0],
                words[1:],
                env=env,
                input_data=data,
                capture=capture,
                timeout_s=START_TIMEOUT_S,
            )
        except AgentError as error:
            if error.may_have_acted:
                raise StartInDoubtError(error) from error
            raise
        return self._pid

    def _keeping_request(self) -> ExecRequest:
        """The request, with a line that leaves its surroundings behind its output where that is asked for."""
        command = self._request.command
        if not self._keeps or not isinstance(command, CommandLine):
            return self._request
        head = scripts.keeping_in_output(2 * EXPORTS_LIMIT, command.shell)
        return replace(self._request, command=replace(command, text=head + command.text))

    async def status(self) -> ExecStatus:
        """What the agent says."""
        if not self._status.exited:
            self._status = await exec_status(self._transport, self._pid)
        return self._status

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        """Everything, once."""
        if self.is_dry or not is_gone:
            return []
        self.is_dry = True
        out, mark, kept = self._status.out.rpartition(self._mark.encode("ascii"))
        self._kept = kept if mark else b""
        both = ((Stream.STDOUT, out if mark else kept), (Stream.STDERR, self._status.err))
        self.cut = any(len(data) >= scripts.GUARD for _, data in both)
        return [Output(stream, data) for stream, data in both if data]

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """The agent takes input at the start alone: it came with the request."""

    async def surroundings(self) -> Surroundings | None:
        """What the shell left when it ended by itself."""
        cwd, newline, exports = self._kept.partition(b"\n")
        if not newline or not cwd or len(exports) > EXPORTS_LIMIT:
            return None
        return Surroundings(cwd.decode("utf-8", "surrogateescape"), exports)

    async def remove(self) -> None:
        """Nothing was made."""
