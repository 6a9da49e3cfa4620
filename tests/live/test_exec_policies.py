"""Each way of running a command, against an agent that blocks one command: it works, or says why; none hangs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.live.host_agent import HostAgent, running
from tests.live.test_agent_exec import QUICK, end_of, events_of, written
from tui.agent.commands import info
from tui.agent.exec_model import CmdLine, CommandLine, End, ExecRequest, Program
from tui.agent.profile import EXEC_COMMANDS, FILE_COMMANDS, read_profile
from tui.doctor.advice import advise
from tui.model.errors import ExplainedError

HUNG_S = 20
"""Seconds of silence after which a cell counts as hung."""
ASKED_FIRST = ("guest-info", "guest-get-osinfo", "guest-fsfreeze-status")
"""What is asked to learn what the agent offers; without it the answer is "unknown", and nothing else changes."""

WAYS: dict[str, tuple[bool, tuple[str, ...], ExecRequest, bytes]] = {
    "streamed": (False, (), ExecRequest(CommandLine("echo one; echo two")), b"one\ntwo\n"),
    "streamed, with input": (False, (), ExecRequest(CommandLine("cat; echo two"), stdin=b"one\n"), b"one\ntwo\n"),
    "program alone": (False, (), ExecRequest(Program("seq", ("1", "3"))), b"1\n2\n3\n"),
    "captured": (False, ("guest-file-open",), ExecRequest(CommandLine("echo one; echo two")), b"one\ntwo\n"),
    "captured, with input": (False, ("guest-file-open",), ExecRequest(CommandLine("cat"), stdin=b"one\n"), b"one\n"),
    "redirected": (True, (), ExecRequest(CmdLine("echo one")), b"one\r\n"),
    "redirected and captured": (True, ("guest-file-open",), ExecRequest(CmdLine("echo one")), b"one\r\n"),
}


async def outcome(agent: HostAgent, request: ExecRequest, expected: bytes) -> str:
    """What a user sees of one cell: `works`, or why not; anything else is wrong."""
    try:
        async with asyncio.timeout(HUNG_S):
            events = await events_of(agent, request, QUICK)
    except TimeoutError:
        return "HUNG"
    except ExplainedError as error:
        said = await advise(agent.line, error)
        return f"says why: {said.one_line()}" if said.cause and said.next_step else f"WITHOUT A REASON: {said}"
    end = end_of(events)
    if (end.end, end.exit_code, end.truncated) == (End.EXITED, 0, False):
        return "works" if written(events) == expected else f"WRONG OUTPUT: {written(events)!r}"
    return f"says so at its end: {end}" if end.truncated else f"WRONG END: {end}"


async def offered(qemu_ga: Path) -> tuple[str, ...]:
    with running(qemu_ga) as agent:
        names = tuple(sorted((await info(agent.line)).enabled))
        await agent.line.close()
    return names


async def test_with_any_one_command_blocked_each_way_works_or_says_why(qemu_ga: Path) -> None:
    used = {*EXEC_COMMANDS, *FILE_COMMANDS, *ASKED_FIRST}
    assert used <= set(await offered(qemu_ga))
    cells: dict[tuple[str, str], str] = {}
    for way, (windows, always, request, expected) in WAYS.items():
        for blocked in sorted(used):
            with running(qemu_ga, *always, blocked, windows=windows) as agent:
                cells[way, blocked] = await outcome(agent, request, expected)
                await agent.line.close()
    for (way, blocked), seen in cells.items():
        print(f"{way:26} without {blocked:24} {seen}")
    assert {cell: seen for cell, seen in cells.items() if not seen.startswith(("works", "says"))} == {}
    without = {cell for cell, seen in cells.items() if seen != "works"}
    assert {blocked for _, blocked in without} <= {*EXEC_COMMANDS, *FILE_COMMANDS, "guest-info"}


@pytest.mark.parametrize("way", WAYS)
async def test_a_way_asks_for_nothing_but_what_its_list_names(qemu_ga: Path, way: str) -> None:
    windows, always, request, expected = WAYS[way]
    with running(qemu_ga, *always, windows=windows) as agent:
        profile = await read_profile(agent.line)
        assert await outcome(agent, request, expected) == "works"
        asked = {json.loads(sent)["execute"] for sent in agent.line.sent}
        await agent.line.close()
    files = set(FILE_COMMANDS) if profile.offers_files else set()
    assert asked <= {*EXEC_COMMANDS, *files, *ASKED_FIRST}
    assert set(EXEC_COMMANDS) <= asked
