"""A command in a guest as a filter: its outputs to ours, its exit code to the shell's."""

from __future__ import annotations

from contextlib import aclosing
from typing import BinaryIO

from tui.agent.decode import Decoder
from tui.agent.exec import DEFAULT_PACE, run
from tui.agent.exec_model import End, ExecPace, ExecRequest, Finished, Notice, Output, Started, Stream
from tui.agent.profile import GuestProfile
from tui.agent.transport import Transport
from tui.console.wording import end_in_words
from tui.doctor.reasons import explain
from tui.model.errors import ExplainedError
from tui.model.text import printable

TIMED_OUT, CANCELLED, BROKEN_PIPE, FAILED = 124, 130, 141, 255
"""Exit codes of ours, as timeout(1), shells and ssh(1) use them."""
_SIGNAL_BASE = 128


async def exec_to_streams(
    transport: Transport,
    request: ExecRequest,
    stdout: BinaryIO,
    stderr: BinaryIO,
    *,
    profile: GuestProfile | None = None,
    pace: ExecPace = DEFAULT_PACE,
) -> int:
    """Run `request`, copy its outputs as they come, and return what the process should exit with.

    That is the command's own code, 128 + its signal, 124 when its time was over, and 255 where we failed, said in one
    line on `stderr`. Bytes go unchanged to files and pipes; a terminal gets text that cannot steer it. A reader that
    is gone ends the command in the guest (141). Cancelling the task does too, and is raised again after that.
    """
    sinks = {Stream.STDOUT: _sink(stdout), Stream.STDERR: _sink(stderr)}
    pid = 0
    try:
        async with aclosing(run(transport, request, profile=profile, pace=pace)) as events:
            async for event in events:
                match event:
                    case Started():
                        pid = event.pid
                    case Output():
                        sinks[event.stream].write(event.data)
                    case Notice():
                        _say(stderr, event.text)
                    case Finished():
                        for sink in sinks.values():
                            sink.finish()
                        return _exit_code(event, pid, stderr)
    except BrokenPipeError:
        return BROKEN_PIPE
    except ExplainedError as error:
        _say(stderr, explain(error).one_line())
    return FAILED


def _exit_code(finished: Finished, pid: int, stderr: BinaryIO) -> int:
    if finished.end is not End.EXITED or finished.truncated:
        _say(stderr, end_in_words(finished, pid))
    if finished.end is End.TIMED_OUT:
        return TIMED_OUT
    if finished.end is End.CANCELLED:
        return CANCELLED
    if finished.signal is not None:
        return min(_SIGNAL_BASE + finished.signal, FAILED)
    # Windows codes have 32 bits: what does not fit must not become a 0.
    fits = finished.exit_code is not None and 0 <= finished.exit_code <= FAILED
    return finished.exit_code if fits and finished.exit_code is not None else FAILED


def _say(stderr: BinaryIO, text: str) -> None:
    stderr.write(f"qga-tui: {printable(text)}\n".encode())
    stderr.flush()


class _Sink:
    """Bytes to a file or a pipe, unchanged and at once. A slow reader holds the run up, as in any pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Hand `data` on."""
        self._stream.write(data)
        self._stream.flush()

    def finish(self) -> None:
        """The command writes no more."""


class _TerminalSink(_Sink):
    """Text to a terminal: newlines and tabs stay, CR LF becomes a newline, every other control U+FFFD."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._decoder = Decoder()
        self._has_cr = False

    def write(self, data: bytes) -> None:
        """Hand on what is complete of `data`."""
        self._show(self._decoder.feed(data))

    def finish(self) -> None:
        """Hand on the rest."""
        self._show(self._decoder.flush())
        if self._has_cr:
            super().write(b"\n")

    def _show(self, text: str) -> None:
        text = "\r" * self._has_cr + text
        self._has_cr = text.endswith("\r")
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        super().write("\n".join(_safe(line) for line in text.split("\n")).encode())


def _safe(line: str) -> str:
    return "\t".join(printable(cell, limit=max(len(cell), 1)) for cell in line.split("\t"))


def _sink(stream: BinaryIO) -> _Sink:
    return _TerminalSink(stream) if stream.isatty() else _Sink(stream)
