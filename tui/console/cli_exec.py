"""A command in a guest as a filter: its outputs to ours, its exit code to the shell's."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from tui.agent.exec_model import (
    DEFAULT_PACE,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Notice,
    Output,
    Started,
    Stream,
)
from tui.agent.exec_standing import Standing
from tui.agent.profile import GuestProfile, read_profile
from tui.agent.transport import Transport
from tui.console.audit import run_audited
from tui.console.charset import AUTO, Charset
from tui.console.oem import likely_charset
from tui.console.sinks import sink_for
from tui.console.textstream import is_binary
from tui.console.wording import end_in_words, signal_name
from tui.hosts.lanes import apart
from tui.model.errors import ExplainedError
from tui.model.text import REPLACEMENT, printable
from tui.system.audit_log import AuditTarget

JSON_LIMIT = 16 * 1024 * 1024
"""Bytes of each stream that one JSON object carries."""
TIMED_OUT, CANCELLED, BROKEN_PIPE, FAILED = 124, 130, 141, 255
"""Exit codes of ours, as timeout(1), shells and ssh(1) use them."""
_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True)
class Job:
    """What is run for the command line, and how: `target` None keeps it out of the log of commands.

    `charset` is made the guest's own where its output is to be text. `standing` is that of the guest, changed by
    whoever hears of it.
    """

    request: ExecRequest
    stdin: AsyncIterable[bytes] | None = None
    charset: Charset = field(default_factory=Charset)
    target: AuditTarget | None = None
    profile: GuestProfile | None = None
    pace: ExecPace = DEFAULT_PACE
    standing: Standing | None = None

    def events(self, transport: Transport) -> AsyncGenerator[ExecEvent, None]:
        """The course of it."""
        return run_audited(
            transport,
            self.request,
            self.target,
            stdin=self.stdin,
            profile=self.profile,
            pace=self.pace,
            standing=self.standing,
        )


async def exec_to_streams(transport: Transport, job: Job, stdout: BinaryIO, stderr: BinaryIO, prefix: str = "") -> int:
    """Run `job`, copy its outputs as they come, and return what the process should exit with.

    That is the command's own code, 128 + its signal, 124 when its time was over, and 255 where we failed, said in one
    line on `stderr`. Bytes go unchanged to files and pipes; a terminal gets text with colours that cannot steer it
    otherwise, and everybody gets text where `prefix` is put before each line. A reader that is gone ends the command in
    the guest (141). Cancelling the task does too, and is raised again after that.
    """
    pid = 0
    try:
        if prefix or stdout.isatty() or stderr.isatty():
            job = await _for_text(transport, job)
        sinks = {
            Stream.STDOUT: sink_for(stdout, job.charset, prefix),
            Stream.STDERR: sink_for(stderr, job.charset, prefix),
        }
        async with aclosing(job.events(transport)) as events:
            async for event in events:
                match event:
                    case Started():
                        pid = event.pid
                    case Output():
                        await apart(sinks[event.stream].write, event.data)
                    case Notice():
                        _say(stderr, prefix + event.text)
                    case Finished():
                        for sink in sinks.values():
                            await apart(sink.finish)
                        return _told_exit_code(event, pid, stderr, prefix)
    except BrokenPipeError:
        return BROKEN_PIPE
    except ExplainedError as error:
        _say(stderr, prefix + (await _advised(transport, error)).one_line())
    return FAILED


async def exec_to_json(transport: Transport, job: Job, name: str) -> tuple[dict[str, object], int]:
    """Run `job` and return all that is known of it as a JSON object, with the exit code of `exec_to_streams`.

    Output is text where it is text of the encoding, else base64; JSON_LIMIT bytes of each stream are kept.
    """
    kept = {stream: bytearray() for stream in Stream}
    notices: list[str] = []
    told: dict[str, object] = {"guest": name}
    code = FAILED
    try:
        job = await _for_text(transport, job)
        async with aclosing(job.events(transport)) as events:
            async for event in events:
                match event:
                    case Started():
                        told |= {"pid": event.pid, "mode": str(event.mode)}
                    case Output():
                        kept[event.stream] += event.data[: JSON_LIMIT - len(kept[event.stream])]
                    case Notice():
                        notices.append(event.text)
                    case Finished():
                        code = exit_code_of(event)
                        told |= _finished_in_json(event, kept)
    except ExplainedError as error:
        explained = await _advised(transport, error)
        told |= {"error": explained.title, "cause": explained.cause, "next_step": explained.next_step}
    for stream, data in kept.items():
        told |= _bytes_in_json(str(stream), bytes(data), job.charset)
    return told | {"notices": notices, "code": code}, code


async def _advised(transport: Transport, error: ExplainedError) -> ExplainedError:
    """The error with what to do about it; the doctor is imported for it alone, since most commands do not need it."""
    from tui.doctor.advice import advise

    return await advise(transport, error)


async def _for_text(transport: Transport, job: Job) -> Job:
    """The job with an encoding that fits the guest, which is asked for it unless the user named one."""
    profile = job.profile or await read_profile(transport)
    if job.charset.choice != AUTO or not profile.runs_programs:
        return replace(job, profile=profile)
    return replace(job, profile=profile, charset=await likely_charset(transport, profile))


def _finished_in_json(finished: Finished, kept: dict[Stream, bytearray]) -> dict[str, object]:
    return {
        "end": str(finished.end),
        "exit_code": finished.exit_code,
        "signal": None if finished.signal is None else signal_name(finished.signal),
        "truncated": finished.truncated or finished.out_bytes + finished.err_bytes > sum(map(len, kept.values())),
        "may_still_run": finished.may_still_run,
        "reason": finished.reason,
        "seconds": round(finished.duration_s, 3),
        "stdout_bytes": finished.out_bytes,
        "stderr_bytes": finished.err_bytes,
    }


def _bytes_in_json(name: str, data: bytes, charset: Charset) -> dict[str, object]:
    decoder = charset.decoder()
    text = decoder.feed(data) + decoder.flush()
    if REPLACEMENT in text or is_binary(data):
        return {f"{name}_base64": base64.b64encode(data).decode("ascii")}
    return {name: text}


def exit_code_of(finished: Finished) -> int:
    """What the process should exit with."""
    if finished.end is End.TIMED_OUT:
        return TIMED_OUT
    if finished.end is End.CANCELLED:
        return CANCELLED
    if finished.signal is not None:
        return min(_SIGNAL_BASE + finished.signal, FAILED)
    if finished.truncated and finished.exit_code == 0:
        return FAILED  # a script must not take a part of the output for the whole
    # Windows codes have 32 bits: what does not fit must not become a 0.
    fits = finished.exit_code is not None and 0 <= finished.exit_code <= FAILED
    return finished.exit_code if fits and finished.exit_code is not None else FAILED


def _told_exit_code(finished: Finished, pid: int, stderr: BinaryIO, prefix: str) -> int:
    if finished.end is not End.EXITED or finished.truncated:
        _say(stderr, prefix + end_in_words(finished, pid))
    return exit_code_of(finished)


def _say(stderr: BinaryIO, text: str) -> None:
    stderr.write(f"qga-tui: {printable(text)}\n".encode())
    stderr.flush()
