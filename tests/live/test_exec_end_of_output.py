"""What counts as the end of a command's output: the pump's word, or proof that what the command wrote has come."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.live.host_agent import HostAgent, until
from tests.live.test_agent_exec import QUICK, end_of, events_of, line, written
from tui.agent.exec_model import End, Notice, Stream
from tui.console.cli_exec import FAILED, exit_code_of


def pumps(agent: HostAgent) -> list[int]:
    """The processes that work in the folder of a run: its pumps, with what they started."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(cwd.readlink()).startswith(f"{agent.temp}/qga-tui."):
                found.append(int(cwd.parent.name))
        except OSError:
            continue
    return found


@asynccontextmanager
async def stopped_pumps(agent: HostAgent, seconds: float) -> AsyncIterator[None]:
    """Stop the pumps of the run that begins, as a disk that is busy does, and let them go on after `seconds`."""

    async def stop_and_go() -> None:
        await until(lambda: len(pumps(agent)) >= 2)
        stopped = pumps(agent)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    stopping = asyncio.create_task(stop_and_go())
    try:
        yield
        await stopping
    finally:
        stopping.cancel()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sleep 0.5; echo first; sleep 1; echo THE-RESULT", b"first\nTHE-RESULT\n"),
        ("sleep 0.5; seq 1 5000", b"".join(b"%d\n" % number for number in range(1, 5001))),
        ("sleep 0.5", b""),
    ],
    ids=["two lines", "many lines", "nothing"],
)
async def test_pumps_that_are_late_lose_nothing(agent: HostAgent, text: str, wanted: bytes) -> None:
    async with stopped_pumps(agent, 4.0):
        events = await events_of(agent, line(text), replace(QUICK, patience=30.0))
    end = end_of(events)
    assert written(events) == wanted
    assert (end.end, end.exit_code, end.truncated) == (End.EXITED, 0, False)
    assert not [event for event in events if isinstance(event, Notice) and "holds" in event.text]


async def test_late_pumps_and_a_process_in_the_background_are_told_apart_from_what_the_command_wrote(
    agent: HostAgent,
) -> None:
    text = "sleep 0.5; sh -c 'while sleep 0.02; do echo noise >&2; done' & echo $!; seq 1 5000; echo end >&2"
    async with stopped_pumps(agent, 3.0):
        events = await events_of(agent, line(text), replace(QUICK, patience=30.0))
    child, _, rest = written(events).partition(b"\n")
    assert rest == b"".join(b"%d\n" % number for number in range(1, 5001))
    assert end_of(events).exit_code == 0
    assert not end_of(events).truncated
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any(f"pid {int(child)}" in text and "open" in text for text in told)
    await events_of(agent, line(f"kill {int(child)}"))


async def test_output_that_does_not_come_is_said_to_be_missing_and_never_a_success(agent: HostAgent) -> None:
    async with stopped_pumps(agent, 6.0):
        events = await events_of(agent, line("sleep 0.5; echo RESULT"), replace(QUICK, patience=2.0))
    end = end_of(events)
    assert (end.end, end.exit_code, end.truncated) == (End.EXITED, 0, True)
    assert exit_code_of(end) == FAILED
    assert "may be cut" in [event.text for event in events if isinstance(event, Notice)][-1]


async def test_no_mark_of_ours_is_in_what_a_noisy_background_writes(agent: HostAgent) -> None:
    text = "sh -c 'while :; do echo 0123456789; done' & echo $! >&2; sleep 0.2"
    events = await events_of(agent, line(text))
    out = written(events)
    assert set(out.split(b"\n")[:-1]) == {b"0123456789"}
    assert end_of(events).exit_code == 0
    await events_of(agent, line(f"kill {int(written(events, Stream.STDERR))}"))
