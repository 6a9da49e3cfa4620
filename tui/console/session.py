"""The console of one guest: one command at a time, its transcript, and facts for whoever shows it.

A session outlives the screens that show it: the app owns it, and a running command runs on when a screen closes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from tui.agent.decode import Decoder
from tui.agent.exec import DEFAULT_PACE, run
from tui.agent.exec_model import End, ExecEvent, ExecPace, Finished, Notice, Output, Started, Stream
from tui.agent.profile import read_profile
from tui.agent.transport import Transport
from tui.console.shells import request_for_line
from tui.console.transcript import (
    EndLine,
    LineAssembler,
    NoticeLine,
    OutputLine,
    PromptLine,
    Transcript,
    shown_line,
)
from tui.console.wording import end_in_words
from tui.doctor.reasons import explain
from tui.model.errors import ExplainedError


class SessionBusyError(ExplainedError):
    """A command of this session is still running."""


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """Command `number` runs in the guest under `pid`."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class OutputArrived:
    """The transcript grew, or its open lines changed."""

    number: int


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """Command `number` is over; `finished` is None where it was never started."""

    number: int
    finished: Finished | None


SessionFact = CommandStarted | OutputArrived | CommandEnded


class _OpenStream:
    """One stream of the running command on its way from bytes to lines."""

    def __init__(self, oem_page: str) -> None:
        self._decoder = Decoder(oem_page)
        self._lines = LineAssembler()

    def feed(self, data: bytes) -> list[str]:
        return self._lines.feed(self._decoder.feed(data))

    def flush(self) -> list[str]:
        return self._lines.feed(self._decoder.flush()) + self._lines.flush()

    @property
    def partial(self) -> str:
        return self._lines.partial


class Session:
    """Commands of one guest over one line. All methods belong to the event loop's thread."""

    def __init__(self, transport: Transport, *, oem_page: str = "", pace: ExecPace = DEFAULT_PACE) -> None:
        """`oem_page` is the code page of the guest's legacy programs, such as cp866; empty where there are none."""
        self.transcript = Transcript()
        self._transport = transport
        self._oem_page = oem_page
        self._pace = pace
        self._listeners: list[Callable[[SessionFact], None]] = []
        self._number = 0
        self._pid = 0
        self._streams: dict[Stream, _OpenStream] = {}
        self._cancel = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a command is under way."""
        return self._task is not None and not self._task.done()

    @property
    def open_lines(self) -> tuple[OutputLine, ...]:
        """The lines that are not complete yet, one per stream at most; to be shown below the transcript."""
        partials = ((stream, opened.partial) for stream, opened in self._streams.items())
        return tuple(OutputLine(self._number, stream, shown_line(text)) for stream, text in partials if text)

    def subscribe(self, listener: Callable[[SessionFact], None]) -> Callable[[], None]:
        """Hand every later fact to `listener`; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def run(self, line: str) -> None:
        """Start a typed line; its course comes as facts. Raises SessionBusyError while another one runs."""
        if self.is_running:
            raise SessionBusyError(
                "A command is still running", next_step="Wait for its end, or cancel it, then run the next one."
            )
        self._number += 1
        self._cancel = asyncio.Event()
        self.transcript.append(PromptLine(self._number, shown_line(line), time.time()))
        self._task = asyncio.create_task(self._follow(line), name=f"command {self._number}")

    def cancel(self) -> None:
        """End the running command and its children in the guest; a no-op without one. Its end comes as a fact."""
        self._cancel.set()

    async def idle(self) -> None:
        """Wait until no command runs."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """End what runs, in the guest too."""
        self.cancel()
        await self.idle()

    async def _follow(self, line: str) -> None:
        finished: Finished | None = None
        self._streams = {stream: _OpenStream(self._oem_page) for stream in Stream}
        try:
            profile = await read_profile(self._transport)
            request = request_for_line(line, profile)
            events = run(self._transport, request, profile=profile, cancel=self._cancel, pace=self._pace)
            async with aclosing(events):
                async for event in events:
                    self._note(event)
                    finished = event if isinstance(event, Finished) else None
        except ExplainedError as error:
            self.transcript.append(EndLine(self._number, shown_line(explain(error).one_line()), is_good=False))
        finally:
            self._streams = {}
            self._tell(CommandEnded(self._number, finished))

    def _note(self, event: ExecEvent) -> None:
        match event:
            case Started(pid=pid):
                self._pid = pid
                self._tell(CommandStarted(self._number, pid))
            case Output(stream=stream, data=data):
                self._add(stream, self._streams[stream].feed(data))
                self._tell(OutputArrived(self._number))
            case Notice(text=text):
                self.transcript.append(NoticeLine(self._number, shown_line(text)))
                self._tell(OutputArrived(self._number))
            case Finished():
                for stream, opened in self._streams.items():
                    self._add(stream, opened.flush())
                is_good = event.end is End.EXITED and event.exit_code == 0
                words = shown_line(end_in_words(event, self._pid))
                self.transcript.append(EndLine(self._number, words, is_good))

    def _add(self, stream: Stream, lines: list[str]) -> None:
        for text in lines:
            self.transcript.append(OutputLine(self._number, stream, shown_line(text)))

    def _tell(self, fact: SessionFact) -> None:
        for listener in tuple(self._listeners):
            listener(fact)
