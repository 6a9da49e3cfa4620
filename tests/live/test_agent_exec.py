"""Commands through a real guest agent: what streams, how it ends, and that nothing is left."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.live.host_agent import HostAgent, until
from tui.agent.commands import ping
from tui.agent.exec import run
from tui.agent.exec_model import (
    CommandLine,
    End,
    ExecEvent,
    ExecPace,
    ExecRequest,
    Finished,
    Mode,
    Notice,
    Output,
    Program,
    Started,
    Stream,
)
from tui.agent.exec_pump import SEGMENT, WINDOW

NOTHING: Mapping[str, str] = MappingProxyType({})
QUICK = ExecPace(grace=0.5, kill=2.0, patience=2.0)


async def events_of(agent: HostAgent, request: ExecRequest, pace: ExecPace = QUICK) -> list[ExecEvent]:
    async with aclosing(run(agent.line, request, pace=pace)) as events:
        return [event async for event in events]


def written(events: Sequence[ExecEvent], stream: Stream = Stream.STDOUT) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Output) and event.stream is stream)


def end_of(events: Sequence[ExecEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def line(
    text: str, *, cwd: str = "", env: Mapping[str, str] = NOTHING, stdin: bytes = b"", timeout_s: float | None = None
) -> ExecRequest:
    return ExecRequest(CommandLine(text), cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s)


async def test_streams_arrive_apart_with_the_exit_code(agent: HostAgent) -> None:
    events = await events_of(agent, line("echo out; echo err >&2; exit 7"))
    assert isinstance(events[0], Started)
    assert events[0].mode is Mode.STREAMED
    assert (written(events), written(events, Stream.STDERR)) == (b"out\n", b"err\n")
    end = end_of(events)
    assert (end.end, end.exit_code, end.signal, end.may_still_run) == (End.EXITED, 7, None, False)
    assert (end.out_bytes, end.err_bytes) == (4, 4)


async def test_a_line_is_seen_before_the_command_goes_on(agent: HostAgent) -> None:
    gate = agent.folder / "gate"
    seen: list[bytes] = []
    request = line('echo one; until [ -e "$GATE" ]; do sleep 0.02; done; echo two', env={"GATE": str(gate)})
    async with aclosing(run(agent.line, request, pace=QUICK)) as events:
        async for event in events:
            if isinstance(event, Output):
                seen.append(event.data)
                gate.touch()
    assert seen == [b"one\n", b"two\n"]


@pytest.mark.parametrize("code", [0, 1, 125, 126, 127, 128, 137, 255])
async def test_every_exit_code_is_the_commands_own(agent: HostAgent, code: int) -> None:
    end = end_of(await events_of(agent, line(f"exit {code}")))
    assert (end.exit_code, end.signal) == (code, None)


async def test_death_by_a_signal_is_told_as_such(agent: HostAgent) -> None:
    end = end_of(await events_of(agent, line("kill -KILL $$")))
    assert (end.end, end.exit_code, end.signal) == (End.EXITED, None, 9)


async def test_arguments_arrive_exactly(agent: HostAgent) -> None:
    words = ("a b", "'", '"', "$HOME `id` $(id)", "", "two\nlines\n", "*", "\\", "ümläut €", "-n", "--")
    events = await events_of(agent, ExecRequest(Program("printf", ("%s\\0", *words))))
    assert written(events).decode().split("\0")[:-1] == list(words)


async def test_environment_is_added_and_kept_off_the_argument_list(agent: HostAgent) -> None:
    value = 'it\'s a "secret"\nof $two lines\n'
    events = await events_of(agent, line('printf %s "$SECRET"; [ -n "$TMPDIR" ]', env={"SECRET": value}))
    assert written(events).decode() == value
    assert end_of(events).exit_code == 0
    assert not [request for request in agent.line.sent if "secret" in request]


async def test_folder_and_input_reach_the_command(agent: HostAgent) -> None:
    folder = agent.folder / "a folder's name"
    folder.mkdir()
    events = await events_of(agent, line("pwd; cat", cwd=str(folder), env={"A": "b"}, stdin=b"in\0put"))
    assert written(events) == f"{folder}\nin\0put".encode()


async def test_without_input_the_command_reads_nothing(agent: HostAgent) -> None:
    events = await events_of(agent, line("cat", env={"A": "b"}))
    assert (written(events), end_of(events).exit_code) == (b"", 0)


async def test_large_output_arrives_whole_and_leaves_nothing(agent: HostAgent) -> None:
    await ping(agent.line)
    before = agent.open_files()
    events = await events_of(agent, line("seq 1 750000; seq 1 100000 >&2"))
    expected = "".join(f"{number}\n" for number in range(1, 750_001)).encode()
    assert len(expected) > 5_000_000
    assert hashlib.sha256(written(events)).digest() == hashlib.sha256(expected).digest()
    assert written(events, Stream.STDERR) == "".join(f"{number}\n" for number in range(1, 100_001)).encode()
    assert end_of(events).out_bytes == len(expected)
    assert agent.leftovers() == []
    assert agent.open_files() == before


async def test_output_that_is_not_read_waits_in_bounded_space(agent: HostAgent) -> None:
    count = 2 * WINDOW * SEGMENT
    async with aclosing(run(agent.line, line(f"head -c {count} /dev/zero"), pace=QUICK)) as events:
        assert isinstance(await anext(events), Started)
        (folder,) = agent.leftovers()
        last = folder / f"o.{WINDOW - 1}"
        await until(lambda: last.exists() and last.stat().st_size == SEGMENT)
        assert sum(path.stat().st_size for path in folder.glob("o.*")) == WINDOW * SEGMENT
        rest = [event async for event in events]
    assert (end_of(rest).exit_code, end_of(rest).out_bytes) == (0, count)
    assert agent.leftovers() == []


async def test_a_reader_that_is_back_in_time_gets_what_waited_and_hears_that_there_was_more(agent: HostAgent) -> None:
    pace = replace(QUICK, unread=4.0)
    async with aclosing(run(agent.line, line("exec yes"), pace=pace)) as events:
        assert isinstance(await anext(events), Started)
        (folder,) = agent.leftovers()
        await until(lambda: f"o {WINDOW} unread" in (folder / "end").read_text())
        rest = [event async for event in events]
    end = end_of(rest)
    assert (end.end, end.signal, end.out_bytes, end.truncated) == (End.EXITED, 13, WINDOW * SEGMENT, True)
    (notice,) = [event.text for event in rest if isinstance(event, Notice)]
    assert notice == "Nobody read stdout for too long: the guest took no more of it."
    assert agent.leftovers() == []


async def test_a_missing_program_is_told_by_the_shells_code(agent: HostAgent) -> None:
    events = await events_of(agent, ExecRequest(Program("no-such-program")))
    assert end_of(events).exit_code == 127
    assert re.fullmatch(rb"/bin/sh: .*no-such-program: not found\n", written(events, Stream.STDERR))


async def test_children_in_the_background_do_not_hold_up_the_end(agent: HostAgent) -> None:
    events = await events_of(agent, line("sh -c 'trap \"\" PIPE; while sleep 0.05; do echo; done' & echo $!"))
    child = int(written(events).split()[0])
    assert end_of(events).exit_code == 0
    assert [event for event in events if isinstance(event, Notice) and "holds stdout open" in event.text]
    assert is_alive(child)
    await events_of(agent, ExecRequest(Program("kill", (str(child),))))
    assert agent.leftovers() == []


async def cancelled_at_its_first_output(agent: HostAgent, request: ExecRequest) -> list[ExecEvent]:
    cancel = asyncio.Event()
    seen: list[ExecEvent] = []
    async with aclosing(run(agent.line, request, cancel=cancel, pace=QUICK)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Output):
                cancel.set()
    return seen


async def test_cancelling_ends_the_whole_group(agent: HostAgent) -> None:
    seen = await cancelled_at_its_first_output(agent, line("sleep 1000 & echo $! $$; sleep 1000"))
    end = end_of(seen)
    assert (end.end, end.signal, end.may_still_run) == (End.CANCELLED, 15, False)
    assert not [pid for pid in written(seen).split() if is_alive(int(pid))]
    assert agent.leftovers() == []


async def test_a_command_that_ignores_term_is_killed_and_its_last_words_are_read(agent: HostAgent) -> None:
    stubborn = line('trap "echo no" TERM; echo up; while :; do sleep 0.05; done')
    seen = await cancelled_at_its_first_output(agent, stubborn)
    assert written(seen).startswith(b"up\nno\n")
    assert (end_of(seen).end, end_of(seen).signal) == (End.CANCELLED, 9)


async def test_time_over_ends_the_command(agent: HostAgent) -> None:
    end = end_of(await events_of(agent, line("echo $$; exec sleep 1000", timeout_s=0.3)))
    assert (end.end, end.signal, end.may_still_run) == (End.TIMED_OUT, 15, False)


async def test_cancelling_the_task_ends_the_command_too(agent: HostAgent) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def follow() -> None:
        async with aclosing(run(agent.line, line("echo up; exec sleep 1000"), pace=QUICK)) as events:
            async for event in events:
                if isinstance(event, Started):
                    pid = event.pid
                if isinstance(event, Output):
                    started.set_result(pid)

    task = asyncio.create_task(follow())
    pid = await started
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(pid)
    assert agent.leftovers() == []


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
