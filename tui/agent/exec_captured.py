"""Output that the agent collects and hands over when the command and all holders of its outputs have ended."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_start, exec_status
from tui.agent.errors import AgentError, CommandFailedError, CommandUnavailableError, StartInDoubtError
from tui.agent.exec_model import ExecRequest, Mode, Notice, Output, Stream, Surroundings
from tui.agent.exec_shell import ask
from tui.agent.exec_source import START_TIMEOUT_S, surrounded
from tui.agent.transport import Transport

WINDOWS_ENV = {
    "SystemRoot": r"C:\Windows",
    "PATH": r"C:\Windows\system32;C:\Windows;C:\Windows\System32\WindowsPowerShell\v1.0",
    "TEMP": r"C:\Windows\Temp",
}
"""What a Windows program cannot do without, where an environment of ours replaces the agent's."""
_TOOLS = ("head", "setsid")


async def missing_tools(transport: Transport) -> frozenset[str]:
    """What the guest lacks of a shell, head and setsid."""
    script = 'for t do command -v "$t" >/dev/null 2>&1 || echo "$t"; done'
    try:
        answer = await ask(transport, scripts.SHELL, "-c", script, scripts.SHELL, *_TOOLS)
    except CommandUnavailableError:
        raise
    except CommandFailedError:
        return frozenset({"sh", *_TOOLS})
    return frozenset(answer.out.decode("utf-8", "replace").split())


class Captured:
    """A command whose output comes at once and late.

    Where the guest has a shell and `head`, each stream is `guarded`: cut after GUARD bytes, so that the reply fits
    the line. A command that is killed by a signal then ends with 128 + its number, as shells put it. Elsewhere the
    program runs bare: with no `cwd`, and its `env` in place of the agent's.
    """

    mode = Mode.CAPTURED

    def __init__(
        self,
        transport: Transport,
        request: ExecRequest,
        *,
        guarded: bool,
        leads_group: bool = False,
        base_env: Mapping[str, str] | None = None,
    ) -> None:
        if request.cwd and not guarded:
            raise CommandFailedError(
                "The command was not started",
                cause="without a POSIX shell in the guest a program cannot be started in a folder of choice",
                next_step="Leave the folder out.",
            )
        self.guarded = guarded
        self.leads_group = leads_group
        self.cut = False
        self._transport = transport
        self._request = request
        self._base_env = base_env or {}
        self.is_dry = False
        self._pid = 0
        self._status = ExecStatus(exited=False)

    @classmethod
    def on_posix(cls, transport: Transport, request: ExecRequest, missing: frozenset[str]) -> Captured:
        """As safe as the guest's tools allow."""
        guarded = missing.isdisjoint({"sh", "head"})
        return cls(transport, request, guarded=guarded, leads_group="setsid" not in missing)

    @classmethod
    def on_windows(cls, transport: Transport, request: ExecRequest) -> Captured:
        """Bare; the program brings its own interpreter where it wants one."""
        return cls(transport, request, guarded=False, base_env=WINDOWS_ENV)

    async def start(self) -> int:
        """Start the command, leading a group and guarded where that is possible."""
        program = self._request.program
        words, data = (program.path, *program.args), self._request.stdin
        if self.guarded:
            surround, data = surrounded(self._request)
            words = (scripts.SHELL, "-c", scripts.GUARDED, scripts.SURROUND, *surround)
        if self.leads_group:
            words = ("setsid", *words)
        env = {**self._base_env, **self._request.env} if self._request.env and not self.guarded else None
        try:
            self._pid = await exec_start(
                self._transport, words[0], words[1:], env=env, input_data=data, capture=True, timeout_s=START_TIMEOUT_S
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
        """Everything, once."""
        if self.is_dry or not is_gone:
            return []
        self.is_dry = True
        both = ((Stream.STDOUT, self._status.out), (Stream.STDERR, self._status.err))
        self.cut = self.guarded and any(len(data) >= scripts.GUARD for _, data in both)
        return [Output(stream, data) for stream, data in both if data]

    async def feed(self, pieces: AsyncIterable[bytes]) -> None:
        """The agent takes input at the start alone: it came with the request."""

    async def surroundings(self) -> Surroundings | None:
        """Nothing can be left without files."""
        return None

    async def remove(self) -> None:
        """Nothing was made."""
