"""What a command line leaves to the next one, the input that is fed to it, and what dead runs leave in a guest."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.live.endless_client import endless_client
from tests.live.fateful_line import FakeFatefulLine, Fate
from tests.live.host_agent import HostAgent, running, until
from tests.live.test_agent_exec import QUICK, end_of, is_alive, line, written
from tui.agent.errors import RequestTooLargeError, UnansweredError
from tui.agent.exec import run
from tui.agent.exec_model import CommandLine, ExecEvent, ExecRequest, Mode, Started, Surroundings
from tui.agent.exec_scripts import FEED_AHEAD
from tui.agent.files import opened
from tui.agent.leftovers import sweep_leftovers
from tui.agent.profile import read_profile

KILLS = 20


async def fed(
    agent: HostAgent, request: ExecRequest, pieces: Sequence[bytes], seen: list[ExecEvent] | None = None
) -> list[ExecEvent]:
    async def stdin() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async with aclosing(run(agent.line, request, stdin=stdin(), pace=QUICK)) as events:
        return [event async for event in events]


async def left_by(agent: HostAgent, text: str, after: Surroundings | None = None) -> tuple[bytes, Surroundings | None]:
    cwd, exports = (after.cwd, after.exports) if after else ("", b"")
    request = ExecRequest(CommandLine(text), cwd=cwd, exports=exports, keeps_surroundings=True)
    async with aclosing(run(agent.line, request, pace=QUICK)) as events:
        seen = [event async for event in events]
    left = [event for event in seen if isinstance(event, Surroundings)]
    return written(seen), left[0] if left else None


async def test_folder_and_environment_last_from_one_line_to_the_next(agent: HostAgent) -> None:
    folder = agent.folder / "it's a folder\n\n"
    folder.mkdir()
    _, first = await left_by(agent, f'cd "{folder}"; export A=a; B=not-exported; cd .; exit 3')
    assert first is not None
    assert first.cwd == str(folder)
    said, second = await left_by(agent, 'pwd; echo "$A$B"; cd /; cd "$OLDPWD"; unset A', first)
    assert said == f"{folder}\na\n".encode()
    said, _ = await left_by(agent, 'printf %s "[$A]"; pwd', second)
    assert said == f"[]{folder}\n".encode()
    assert agent.leftovers() == []


async def test_values_last_exactly(agent: HostAgent) -> None:
    _, left = await left_by(agent, 'export A="it\'s"\'\n"$x" `id` \\ \'; export B=ümläut')
    said, _ = await left_by(agent, 'printf "%s|%s" "$A" "$B"', left)
    assert said.decode() == 'it\'s\n"$x" `id` \\ |ümläut'


@pytest.mark.parametrize("text", ["kill -KILL $$", "exec true", "trap '' EXIT; cd /"])
async def test_a_shell_that_did_not_come_to_its_end_leaves_nothing(agent: HostAgent, text: str) -> None:
    _, left = await left_by(agent, text)
    assert left is None
    assert agent.leftovers() == []


async def test_input_arrives_in_order_and_whole(agent: HostAgent) -> None:
    pieces = [random.Random(7).randbytes(size) for size in (1, 128 * 1024, 3, 700_000, 128 * 1024 + 1)]
    events = await fed(agent, line("sha256sum"), pieces)
    assert written(events).split()[0].decode() == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert end_of(events).exit_code == 0
    assert agent.leftovers() == []


async def test_an_answer_may_follow_each_piece_of_input(agent: HostAgent) -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def typed() -> AsyncIterator[bytes]:
        yield b"one\n"
        assert await answers.get() == b"got one\n"
        yield b"two\n"
        assert await answers.get() == b"got two\n"

    request = line('while read -r l; do echo "got $l"; done; exit 5')
    async with aclosing(run(agent.line, request, stdin=typed(), pace=QUICK)) as events:
        seen = []
        async for event in events:
            seen.append(event)
            if data := written([event]):
                answers.put_nowait(data)
    assert written(seen) == b"got one\ngot two\n"
    assert end_of(seen).exit_code == 5


async def test_input_that_the_command_does_not_want_does_not_hold_it_up(agent: HostAgent) -> None:
    pieces = [b"x" * 100_000] * (FEED_AHEAD * 4)
    events = await fed(agent, line("head -c 3; exit 4"), pieces)
    assert (written(events), end_of(events).exit_code) == (b"xxx", 4)
    assert agent.leftovers() == []


async def test_input_is_gathered_where_nothing_can_be_fed(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-file-open") as agent:
        events = await fed(agent, line("cat"), [b"one ", b"two"])
        assert isinstance(events[0], Started)
        assert (events[0].mode, written(events)) == (Mode.CAPTURED, b"one two")
        with pytest.raises(RequestTooLargeError):
            await fed(agent, line("cat"), [b"x" * 100_000] * 2)
        await agent.line.close()


@pytest.mark.long
async def test_a_killed_client_leaves_nothing_after_the_next_start(agent: HostAgent) -> None:
    profile = await read_profile(agent.line)
    dice = random.Random(4)
    commands = ("yes", "while :; do seq 1 3000; seq 1 3000 >&2; sleep 0.01; done", "cat")
    pids: set[int] = set()
    for turn in range(KILLS):
        async with endless_client(agent, commands[turn % len(commands)]) as pid:
            pids.add(pid)
            await asyncio.sleep(dice.random() * 0.3)
    assert len(agent.leftovers()) == KILLS
    swept = await sweep_leftovers(agent.line, profile)
    assert (swept.folders, swept.pinned) == (KILLS, 0)
    assert agent.leftovers() == []
    assert not [link for link in agent.links() if "qga-tui" in link]
    await until(lambda: not any(is_alive(pid) for pid in pids))
    assert not (await sweep_leftovers(agent.line, profile)).did_something


async def test_a_client_killed_while_it_sweeps_leaves_nothing_after_the_next_start(agent: HostAgent) -> None:
    """What it opened to learn the newest number is found as its own, beside what it was to close."""
    profile, open_before = await read_profile(agent.line), agent.open_files()
    async with endless_client(agent, "echo up; exec sleep 1000"):
        await until(lambda: any("qga-tui" in link for link in agent.links()))
    with pytest.raises(UnansweredError):
        await sweep_leftovers(FakeFatefulLine(agent.line, ("guest-file-open", Fate.UNHEARD)), profile)
    assert agent.open_files() > open_before
    swept = await sweep_leftovers(agent.line, profile)
    assert swept.pinned == 0
    assert agent.leftovers() == []
    assert agent.open_files() == open_before


async def test_living_runs_and_foreign_handles_are_left_alone(agent: HostAgent) -> None:
    profile = await read_profile(agent.line)
    foreign = agent.folder / "foreign"
    foreign.write_bytes(b"0123456789")
    async with (
        opened(agent.line, str(foreign), "r") as file,
        aclosing(run(agent.line, line("echo up; exec sleep 1000"), pace=QUICK)) as events,
    ):
        assert isinstance(await anext(events), Started)
        assert await file.read(4) == b"0123"
        assert not (await sweep_leftovers(agent.line, profile)).did_something
        assert len(agent.leftovers()) == 1
        assert await file.read(4) == b"4567"


async def test_a_command_that_ignores_hangups_lives_on(agent: HostAgent) -> None:
    profile = await read_profile(agent.line)
    async with endless_client(agent, "trap '' HUP; echo up; cat; sleep 60") as pid:
        (folder,) = agent.leftovers()
        await until(lambda: (folder / "o.0").exists() and bool((folder / "o.0").stat().st_size))
    swept = await sweep_leftovers(agent.line, profile)
    assert swept.hung_up == (str(pid),)
    assert is_alive(pid)
    os.killpg(pid, signal.SIGKILL)
    assert agent.leftovers() == []
