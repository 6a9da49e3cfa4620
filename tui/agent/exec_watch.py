"""Follow one started command to its end, or end it; one step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tui.agent.commands import ExecStatus
from tui.agent.errors import (
    AgentError,
    CommandFailedError,
    CommandUnavailableError,
    NeverBegunError,
    ReplyTooLargeError,
    UnansweredError,
)
from tui.agent.exec_model import End, ExecPace, Finished, Notice, Output, Stream
from tui.agent.exec_shell import end_windows_tree, survivors
from tui.agent.exec_source import OutputSource
from tui.agent.exec_standing import Standing
from tui.agent.files import READ_PIECE
from tui.agent.transport import Transport

_OF_SILENCE = 0.1
"""Of a silence, how long we wait for its end before we look again."""
_NEWS_S = 1.0
"""Seconds in which the hypervisor tells of a guest that was paused, shut off or reset: calls to it fail at once."""


class Escalation:
    """TERM, then KILL, then giving up; pure, times in seconds of any monotonic clock."""

    def __init__(self, why: End, now: float, pace: ExecPace) -> None:
        self.why = why
        self._kill_at = now + pace.grace
        self._give_up_at = self._kill_at + pace.kill
        self._tried: set[str] = set()
        self._sent: set[str] = set()

    def signal_due(self, now: float) -> str:
        """The signal to try now: each is tried until it reached the guest, KILL at least once."""
        name = "TERM" if now < self._kill_at else "KILL"
        if name in self._sent:
            return ""
        self._tried.add(name)
        return name

    def sent(self, name: str) -> None:
        """Note that the signal reached the guest."""
        self._sent.add(name)

    def is_exhausted(self, now: float) -> bool:
        """Whether KILL had its time too."""
        return now >= self._give_up_at and "KILL" in self._tried


class Watch:
    """The run of one command."""

    def __init__(
        self,
        transport: Transport,
        source: OutputSource,
        pace: ExecPace,
        *,
        time_limit_s: float | None = None,
        windows: bool = False,
        standing: Standing | None = None,
    ) -> None:
        self.pid = 0
        self.started = False
        self._finished: Finished | None = None
        self._transport = transport
        self._source = source
        self._pace = pace
        self._time_limit_s = time_limit_s
        self._windows = windows
        self._standing = standing or Standing()
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._pause = 0.0
        self._status = ExecStatus(exited=False)
        self._forgotten = ""
        self._bytes = {Stream.STDOUT: 0, Stream.STDERR: 0}
        self._silent_since: float | None = None
        self._told_silence = False
        self._heard_at = self._begun
        self._trouble = ""
        self._escalation: Escalation | None = None
        self._stopped_as = ""
        self._left: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the end of the command was seen, or given up."""
        return self._finished is not None

    @property
    def finished(self) -> Finished:
        """How it ended; there is an answer only when it is over."""
        if self._finished is None:
            raise RuntimeError("the command is not over")
        return self._finished

    async def start(self) -> None:
        """Start the command; `pid` is then known."""
        self._begun = self._clock()
        self.pid = await self._source.start()
        self.started = True

    def stop(self, why: End, reason: str = "it was cancelled") -> None:
        """End the command in the guest by the steps that follow; a no-op while that is under way."""
        if self._escalation is None:
            self._stopped_as = reason
            self._escalation = Escalation(why, self._clock(), self._pace)
            self._pause = 0.0

    async def step(self, cancel: asyncio.Event | None = None) -> Sequence[Output | Notice]:
        """Wait until something may have happened, look once, and return what happened."""
        await self._wait(cancel)
        if cancel is not None and cancel.is_set():
            self.stop(End.CANCELLED)
        elif self._time_limit_s is not None and self._clock() - self._begun >= self._time_limit_s:
            self.stop(End.TIMED_OUT)
        if self._standing.end:
            self._finish(End.LOST if self._escalation is None else self._escalation.why, self._standing.end)
            return []
        if self._standing.is_paused and self._escalation is None:
            self._silent_since, self._pause = None, self._pace.poll_max
            return []
        try:
            await self._press()
            events = await self._look()
        except AgentError as error:
            events = self._unanswered(error)
        else:
            events = self._answered() + events
            await self._judge()
        self._give_up_in_time()
        self._set_pause(events)
        return events

    async def _wait(self, cancel: asyncio.Event | None) -> None:
        pause = self._pause
        if self._time_limit_s is not None and self._escalation is None:
            pause = min(pause, max(0.0, self._begun + self._time_limit_s - self._clock()))
        if cancel is None or self._escalation is not None:
            await asyncio.sleep(pause)
            return
        try:
            await asyncio.wait_for(cancel.wait(), pause)
        except TimeoutError:
            return

    async def _press(self) -> None:
        """Send the signal that is due, if any, and see who is left."""
        if self._escalation is None:
            return
        name = self._escalation.signal_due(self._clock())
        if self._windows:
            self._left = (str(self.pid),)
            if name:
                await end_windows_tree(self._transport, self.pid)
        else:
            self._left = await survivors(
                self._transport, self.pid, leads_group=self._source.leads_group, signal_name=name
            )
        self._escalation.sent(name)

    async def _look(self) -> list[Output | Notice]:
        """Status first, output second: what was written before the exit is then never missed."""
        if not self._is_gone:
            try:
                self._status = await self._source.status()
            except CommandUnavailableError:
                raise
            except (CommandFailedError, ReplyTooLargeError) as error:
                self._forgotten = _why_forgotten(error)
            if self._status.exited:
                self._pause = 0.0
        events = await self._source.drain(is_gone=self._is_gone)
        for event in events:
            if isinstance(event, Output):
                self._bytes[event.stream] += len(event.data)
        return events

    @property
    def _is_gone(self) -> bool:
        """Whether the agent will say nothing more of the command."""
        return self._status.exited or bool(self._forgotten)

    def _unanswered(self, error: AgentError) -> list[Output | Notice]:
        self._trouble = error.one_line()
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        is_new = not isinstance(error, UnansweredError) and now - self._silent_since < _NEWS_S
        if self._told_silence or is_new or self._standing.is_paused or self._standing.end:
            return []
        self._told_silence = True
        return [Notice(f"The agent says no more of the command, which may run on: {self._trouble}")]

    def _answered(self) -> list[Output | Notice]:
        self._trouble, self._silent_since = "", None
        if not self._told_silence:
            return []
        self._told_silence = False
        return [Notice("The agent answers again.")]

    async def _judge(self) -> None:
        """Decide whether it is over, after a look that was answered."""
        if not self._is_gone or not self._source.is_dry:
            return
        if self._escalation is not None:
            if not self._left or self._windows:
                self._left = ()
                self._finish(self._escalation.why, self._stop_reason(self._escalation))
        elif self._status.exited:
            self._finish(End.EXITED)
        else:
            await self._lose_forgotten()

    async def _lose_forgotten(self) -> None:
        """The agent forgot a command that nobody ended: see whether it still runs, as long as somebody says so."""
        if self._windows:
            self._left = (str(self.pid),)
        else:
            try:
                self._left = await survivors(self._transport, self.pid, leads_group=self._source.leads_group)
            except AgentError as error:
                self._trouble = error.one_line()
        self._finish(End.LOST, self._forgotten)

    def _give_up_in_time(self) -> None:
        now = self._clock()
        if self.is_over:
            return
        if self._escalation is not None:
            if self._escalation.is_exhausted(now):
                self._finish(self._escalation.why, self._stop_reason(self._escalation))
        elif self._silent_since is not None and now - self._silent_since >= self._pace.patience:
            self._finish(End.LOST, self._trouble)

    def _stop_reason(self, escalation: Escalation) -> str:
        timed_out = escalation.why is End.TIMED_OUT
        reason = f"its time of {self._time_limit_s:g} s was over" if timed_out else self._stopped_as
        if self._trouble:
            return f"{reason}; {self._trouble}"
        if self._left:
            return f"{reason}; still there: {', '.join(self._left)}"
        return reason if self._is_gone else f"{reason}; its children hold its output open"

    def _finish(self, end: End, reason: str = "") -> None:
        self._finished = Finished(
            end=end,
            exit_code=self._status.exit_code,
            signal=self._status.signal,
            duration_s=self._clock() - self._begun,
            out_bytes=self._bytes[Stream.STDOUT],
            err_bytes=self._bytes[Stream.STDERR],
            truncated=self._status.truncated or self._source.cut,
            may_still_run=self._may_still_run,
            reason=reason,
        )

    @property
    def _may_still_run(self) -> bool:
        if self._standing.end:
            return self._standing.may_run_on
        return bool(self._left or self._trouble) or not self._is_gone

    def _set_pause(self, events: Sequence[Output | Notice]) -> None:
        if self._trouble:
            self._pause = self._pace.poll_max
        elif any(_is_full(event) for event in events):
            self._pause = 0.0
        elif self._escalation is not None:
            self._pause = self._pace.poll_min
        else:
            now = self._clock()
            self._heard_at = now if events else self._heard_at
            silence = (now - self._heard_at) * _OF_SILENCE
            self._pause = min(max(silence, self._pace.poll_min), self._pace.poll_max)


def _is_full(event: Output | Notice) -> bool:
    return isinstance(event, Output) and len(event.data) >= READ_PIECE


def _why_forgotten(error: AgentError) -> str:
    if isinstance(error, NeverBegunError):
        return f"it never began: {error.cause}"
    if isinstance(error, ReplyTooLargeError):
        return "its output was too large for the line to the agent, and its exit code is lost with it"
    return "the agent no longer knows it: the agent or the guest was restarted, or its last answer was lost"
