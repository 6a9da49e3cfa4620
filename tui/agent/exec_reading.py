"""What a streamed run writes, read while it writes: both outputs, and how it ended."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

from tui.agent import exec_scripts as scripts
from tui.agent.commands import ExecStatus, exec_status
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.every_step import every_step
from tui.agent.exec_ends import Endings
from tui.agent.exec_model import DEFAULT_PACE, Notice, Output, Stream
from tui.agent.exec_segments import Segments
from tui.agent.exec_shell import ask, forget, still_runs
from tui.agent.held_file import HeldFile
from tui.agent.transport import Transport, agent_life

_QUIET_S, _QUIET_ANEW_S = 0.03, 0.08
"""Seconds after the start in which only the end of a command is asked for, where its pumps waited and where they start
with it: a short one is over by then, and each question costs the guest time."""
_ASK_S = 0.1
"""Seconds between two questions to the agent about a command whose outputs are open: the shells say most ends."""
_ASK_GUEST_S = 1.0
"""The same for a command that the agent has forgotten: each question is a process in the guest."""
_ASK_WHO_S = 0.5
"""Seconds after a command's end for which its streams may take to end, before the guest is asked who holds them."""
_TELL_S = 5.0
"""The same until it is told that something is still waited for."""
_NAMES = {Stream.STDOUT: "o", Stream.STDERR: "e"}


class RunReading:
    """The reader of a run in the folder `path`. Whoever has made one closes it."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        pid: int,
        endings: Endings,
        firsts: Mapping[str, HeldFile] | None = None,
        patience_s: float = DEFAULT_PACE.patience,
    ) -> None:
        """`firsts` are first segments that are open already, by their streams' names; they are ours from now on.

        Of a command that has ended, output is waited for as long as some comes, and `patience_s` seconds without any.
        """
        self.cut = False
        self._transport = transport
        self._path = path
        self._pid = pid
        self._endings = endings
        self._streams = {
            stream: Segments(transport, f"{path}/{name}", (firsts or {}).get(name)) for stream, name in _NAMES.items()
        }
        self._clock = asyncio.get_running_loop().time
        self._quiet_until = self._asked_at = self._clock() + (_QUIET_S if firsts else _QUIET_ANEW_S)
        self._status = ExecStatus(exited=False)
        self._is_kept_by_agent = True
        self._forgotten: CommandFailedError | None = None
        self._life = agent_life(transport)
        self._patience_s = patience_s
        self._mark = secrets.token_hex(16)
        self._writers: dict[str, str] | None = None
        self._heard = -1
        self._heard_at = self._ended_at = 0.0
        self._told_waiting = False

    @property
    def is_dry(self) -> bool:
        """Whether both streams were read to their ends."""
        return all(segments.is_dry for segments in self._streams.values())

    def learn(self, status: ExecStatus) -> None:
        """Take an answer of the agent about the command: it gives that of the end only once."""
        self._status = status
        self._is_kept_by_agent = not status.exited

    async def status(self) -> ExecStatus:
        """Whether the command has ended, and how: as its shell said, else as the agent says."""
        if self._status.exited:
            return self._status
        now, endings = self._clock(), self._endings
        if not endings.are_complete:
            await endings.look()
        if endings.are_complete and endings.exit_code is not None:
            self._status = ExecStatus(exited=True, exit_code=endings.exit_code)
        elif self._forgotten is not None:
            if now - self._asked_at >= _ASK_GUEST_S:
                self._asked_at = now
                await self._ask_guest(self._forgotten)
        elif endings.are_complete or now - self._asked_at >= _ASK_S:
            self._asked_at = now
            await self._ask_agent()
        return self._status

    async def _ask_agent(self) -> None:
        if self._life != agent_life(self._transport):
            # The pid may be another command's by now, of which the agent says the end only once.
            unknown = CommandFailedError("The agent does not know the command", cause="it or its guest began anew")
            await self._ask_guest(unknown)
            self._forgotten, self._is_kept_by_agent = unknown, False
            return
        try:
            self.learn(await exec_status(self._transport, self._pid))
        except CommandUnavailableError:
            raise
        except CommandFailedError as error:
            await self._ask_guest(error)
            self._forgotten, self._is_kept_by_agent = error, False

    async def _ask_guest(self, forgotten: CommandFailedError) -> None:
        """A command outlives its agent, and its shell still says how it ends; raises `forgotten` where none will."""
        if await still_runs(self._transport, self._path, self._pid):
            return
        await self._endings.look()
        if self._endings.exit_code is None:
            raise forgotten
        self._status = ExecStatus(exited=True, exit_code=self._endings.exit_code)

    async def drain(self, *, is_gone: bool) -> list[Output | Notice]:
        """What came of each stream, READ_PIECE and a segment at most."""
        now = self._clock()
        notices: list[Notice] = []
        if is_gone:
            notices = await self._drain_to_the_end(now)
        elif now >= self._quiet_until:
            for segments in self._streams.values():
                await segments.fill()
        taken = ((stream, segments.take()) for stream, segments in self._streams.items())
        return [*(Output(stream, data) for stream, data in taken if data), *notices]

    async def _drain_to_the_end(self, now: float) -> list[Notice]:
        endings = self._endings
        is_there = endings.are_complete or await endings.look()
        if is_there:
            for stream, segments in self._streams.items():
                await segments.fill_to_the_end(endings.streams.get(_NAMES[stream]))
        if not is_there or (self.is_dry and not endings.are_complete and not await self._has_folder()):
            return self._give_up("Its folder in the guest is gone: what it wrote last could not be read.")
        if self.is_dry:
            return self._last_notices()
        return await self._while_some_is_missing(now)

    async def _while_some_is_missing(self, now: float) -> list[Notice]:
        """Learn what keeps a stream from its end, as long as nothing comes of it."""
        heard = len(self._endings.streams) + sum(segments.total for segments in self._streams.values())
        if self._heard < 0:
            self._ended_at = now
        if heard != self._heard:
            self._heard, self._heard_at = heard, now
        silence = now - self._heard_at
        if silence >= self._patience_s:
            seconds = f"{self._patience_s:.0f} s"
            return self._give_up(f"What it wrote last did not come within {seconds} after its end: it may be cut.")
        if self._writers is None and now - self._ended_at >= _ASK_WHO_S:
            self._writers = await self._ask_who_writes()
        if silence < _TELL_S or self._told_waiting:
            return []
        self._told_waiting = True
        return [Notice("The command has ended; what it wrote last is still waited for.")]

    def _give_up(self, why: str) -> list[Notice]:
        for segments in self._streams.values():
            segments.give_up()
        self.cut = True
        return [Notice(why)]

    async def _ask_who_writes(self) -> dict[str, str]:
        """Who may still write to a stream, by its name; such a stream is given a mark behind what the command wrote."""
        missing = {_NAMES[stream]: each for stream, each in self._streams.items() if not each.is_dry}
        for segments in missing.values():
            segments.expect(self._mark.encode("ascii"))
        words = (scripts.SHELL, "-c", scripts.MARK, scripts.SHELL, self._path, self._mark, " ".join(missing))
        said = (await ask(self._transport, *words)).out.decode("ascii", "replace").splitlines()
        return {name: who for name, _, who in (line.partition(" ") for line in said)}

    async def _has_folder(self) -> bool:
        """An open file outlives its name."""
        end = HeldFile(self._transport, f"{self._path}/end")
        is_there = await end.open()
        await end.close()
        return is_there

    def _last_notices(self) -> list[Notice]:
        """What is to be said of output that will not come; the drain that finds both streams dry is the last one."""
        notices = []
        for stream, segments in self._streams.items():
            if segments.was_lost:
                self.cut = True
                notices.append(Notice(f"The guest had no room for all of {stream}; the rest is lost."))
            elif segments.was_unread:
                self.cut = True
                notices.append(Notice(f"Nobody read {stream} for too long: the guest took no more of it."))
            elif segments.is_held_open:
                who = (self._writers or {}).get(_NAMES[stream], "")
                process = f"A process in the background (pid {who}) holds" if who.isdecimal() else "Something holds"
                notices.append(Notice(f"{process} {stream} open; what it writes from now on is not shown."))
        return notices

    async def close(self) -> None:
        """Give back all handles, and what the agent keeps of a command whose end its shell told."""
        await every_step(*(each.close for each in self._streams.values()), self._endings.close, self._forget)

    async def _forget(self) -> None:
        if self._status.exited and self._is_kept_by_agent and self._life == agent_life(self._transport):
            await forget(self._transport, self._pid)
