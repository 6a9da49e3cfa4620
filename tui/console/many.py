"""One command in many guests at once: a row each, and no failure hidden by a summary."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from tui.agent.exec_model import DEFAULT_PACE, End, ExecEvent, ExecPace, Finished, Notice, Output, Started, Stream
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.console.audit import run_audited
from tui.console.charset import Charset
from tui.console.entry import in_one_line
from tui.console.guest_news import GuestStory
from tui.console.many_rows import NO_LINE, Group, Row, RunState, grouped
from tui.console.oem import likely_charset
from tui.console.running import RunningCommands
from tui.console.scrollback import Scrollback
from tui.console.shells import default_shell, request_for_line
from tui.console.transcript import OutputLine
from tui.console.wording import end_in_words, failure_in_words
from tui.doctor.advice import advise
from tui.model.errors import ExplainedError
from tui.model.guest import Guest, GuestId
from tui.model.text import without_colours
from tui.system.audit_log import AuditTarget

logger = logging.getLogger(__name__)
AT_ONCE = 8
"""Guests in which the command runs at the same time; the rest wait for their turns."""
KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of one guest's output that are kept, and of their text."""


@dataclass(frozen=True, slots=True)
class ManyGuest:
    """A guest in which the command is to run, the line to its agent, and its names for the log."""

    id: GuestId
    line: Transport
    target: AuditTarget


class ManyRun:
    """The command in each guest.

    `changed` is called with a row's place whenever the row is another one; `running` is told where the command runs.
    """

    def __init__(
        self,
        line: str,
        guests: Sequence[ManyGuest],
        *,
        logs: bool = True,
        changed: Callable[[int], None] = lambda place: None,
        running: RunningCommands | None = None,
        pace: ExecPace = DEFAULT_PACE,
    ) -> None:
        self.line = line
        self.rows = [Row(guest.target.name) for guest in guests]
        self.scrollbacks = [Scrollback(Charset(), limit=KEPT_BYTES) for _ in guests]
        self._guests = tuple(guests)
        self._stories = [GuestStory() for _ in guests]
        self._logs = logs
        self._changed = changed
        self._running = running or RunningCommands(lambda commands: None)
        self._pace = pace
        self._cancel = asyncio.Event()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Run it everywhere; returns when it is over everywhere."""
        await asyncio.gather(*(self._run_one(place) for place in range(len(self._guests))))

    def cancel(self) -> None:
        """End it everywhere, in the guests too; those that wait do not begin."""
        self._cancel.set()

    @property
    def is_over(self) -> bool:
        """Whether no guest is left to be waited for."""
        return all(row.is_over for row in self.rows)

    @property
    def failures(self) -> tuple[Row, ...]:
        """Every guest in which it did not end with exit 0."""
        return tuple(row for row in self.rows if row.state is RunState.FAILED)

    def groups(self) -> tuple[Group, ...]:
        """The guests that are over, grouped by what came out; failures first, then the larger groups."""
        return grouped(self.rows)

    def guests_changed(self, guests: Mapping[GuestId, Guest]) -> None:
        """Take all guests as their hypervisors show them now: commands are told what becomes of theirs."""
        for place, (guest, story) in enumerate(zip(self._guests, self._stories, strict=True)):
            words = story.take(guests.get(guest.id))
            if words and self.rows[place].state is RunState.RUNNING:
                self._tell(place, words)

    async def _run_one(self, place: int) -> None:
        guest = self._guests[place]
        async with self._turns:
            if self._cancel.is_set():
                self._fail(place, "cancelled before it began")
                return
            self._set(place, state=RunState.RUNNING, begun_at=time.monotonic())
            try:
                with self._running.during(guest.id, in_one_line(self.line)):
                    await self._follow(place, guest)
            except ExplainedError as error:
                advised = await advise(guest.line, error)
                self._fail(place, advised.one_line())
            except Exception as error:
                logger.exception("a command could not be followed")
                self._fail(place, failure_in_words(error))

    async def _follow(self, place: int, guest: ManyGuest) -> None:
        profile = await read_profile(guest.line)
        request = replace(request_for_line(self.line, default_shell(profile)), keeps_surroundings=False)
        scrollback = self.scrollbacks[place]
        scrollback.charset = await likely_charset(guest.line, profile)
        events = run_audited(
            guest.line,
            request,
            guest.target if self._logs else None,
            typed=self.line,
            profile=profile,
            cancel=self._cancel,
            pace=self._pace,
            standing=self._stories[place].begin_run(),
        )
        follower = _Follower(scrollback, self.line)
        try:
            async with aclosing(events):
                async for event in events:
                    await self._note(place, event, follower)
        finally:
            scrollback.close()

    async def _note(self, place: int, event: ExecEvent, follower: _Follower) -> None:
        match event:
            case Started(pid=pid):
                follower.record.pid = pid
            case Output():
                await follower.take(event)
                size = self.rows[place].out_bytes + len(event.data)
                self._set(place, last_line=follower.last_line, out_bytes=size, words="")
            case Notice(text=text):
                self._tell(place, text)
            case Finished():
                follower.end(event)
                is_good = event.end is End.EXITED and event.exit_code == 0 and not event.truncated
                self._set(
                    place,
                    state=RunState.DONE if is_good else RunState.FAILED,
                    exit_code=event.exit_code,
                    signal=event.signal,
                    seconds=event.duration_s,
                    words=end_in_words(event, follower.record.pid),
                    reason=end_in_words(event, follower.record.pid, timed=False),
                    digest=follower.digest,
                    last_line=follower.last_line,
                )

    def _tell(self, place: int, words: str) -> None:
        scrollback = self.scrollbacks[place]
        scrollback.say(scrollback.last, words)
        self._set(place, words=words)

    def _fail(self, place: int, words: str) -> None:
        scrollback = self.scrollbacks[place]
        if scrollback.last is not None:
            scrollback.refuse(scrollback.last, words)
        self._set(place, state=RunState.FAILED, words=words, reason=words)

    def _set(self, place: int, **changes: object) -> None:
        self.rows[place] = replace(self.rows[place], **changes)  # type: ignore[arg-type]
        self._changed(place)


class _Follower:
    """One guest's output on its way to its scrollback."""

    def __init__(self, scrollback: Scrollback, line: str) -> None:
        self.last_line = NO_LINE
        self.record = scrollback.begin(line)
        self._scrollback = scrollback
        self._hashes = {stream: hashlib.sha256() for stream in Stream}

    @property
    def digest(self) -> str:
        return "".join(each.hexdigest() for each in self._hashes.values())

    async def take(self, output: Output) -> None:
        self._hashes[output.stream].update(output.data)
        seen = self._scrollback.transcript.total
        await self._scrollback.take(self.record, output)
        self._note_lines(seen)
        for line in self._scrollback.open_lines:
            self.last_line = without_colours(line.text)

    def end(self, finished: Finished) -> None:
        seen = self._scrollback.transcript.total
        self._scrollback.end(self.record, finished)
        self._note_lines(seen)

    def _note_lines(self, seen: int) -> None:
        """Find the last line that says something among the entries from `seen` on."""
        for entry in self._scrollback.transcript.since(seen):
            if isinstance(entry, OutputLine) and entry.text.strip():
                self.last_line = without_colours(entry.text)
