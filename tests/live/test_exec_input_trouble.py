"""Input for a running command over a line that loses answers, and into a guest without room."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from tests.live.fateful_line import FakeFatefulLine, Fate, Turn
from tests.live.host_agent import HostAgent, until
from tests.live.test_agent_exec import QUICK, end_of, line, written
from tui.agent.exec import run
from tui.agent.exec_model import End, ExecEvent, Notice, Started
from tui.agent.exec_scripts import FEED_AHEAD

PATIENCE_S = 60
OF_A_PIECE = ("guest-file-open", "guest-file-write", "guest-file-flush", "guest-file-close")


async def fed(agent: HostAgent, text: str, stdin: AsyncIterator[bytes], turns: Sequence[Turn] = ()) -> list[ExecEvent]:
    line_ = FakeFatefulLine(agent.line)
    seen = []
    async with asyncio.timeout(PATIENCE_S), aclosing(run(line_, line(text), stdin=stdin, pace=QUICK)) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, Started):
                line_.turns = list(turns)
    assert line_.turns == []
    return seen


async def pieces_of(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("fate", list(Fate))
@pytest.mark.parametrize("lost", OF_A_PIECE[1:])
async def test_input_arrives_whole_and_ends_though_answers_are_lost(agent: HostAgent, lost: str, fate: Fate) -> None:
    """Of the pieces themselves, of the words that they are whole, and of the word that there are no more."""
    pieces = [random.Random(7).randbytes(size) for size in (1, 140_000, 3, 600_000, *[10] * FEED_AHEAD)]
    # Every second one is lost, of pieces and of their `.ok` alike.
    turns: list[Turn] = [(lost, fate), (lost, _heard)] * len(pieces)
    events = await fed(agent, "sha256sum", pieces_of(pieces), turns)
    assert written(events).split()[0].decode() == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert end_of(events).exit_code == 0
    assert agent.leftovers() == []


async def _heard(request: str) -> None:
    """Nothing happens to the request."""


@pytest.mark.parametrize("fate", list(Fate))
@pytest.mark.parametrize("lost", OF_A_PIECE)
async def test_the_end_of_input_arrives_though_its_answer_is_lost(agent: HostAgent, lost: str, fate: Fate) -> None:
    events = await fed(agent, "cat; echo over", pieces_of([]), [(lost, fate)])
    assert (written(events), end_of(events).exit_code) == (b"over\n", 0)
    assert agent.leftovers() == []


async def test_a_guest_without_room_for_the_input_ends_the_command_and_says_so_at_once(agent: HostAgent) -> None:
    seen_by_source: list[str] = []

    async def stdin() -> AsyncIterator[bytes]:
        (folder,) = agent.leftovers()
        piece = folder / "i.0"
        await until(piece.exists)
        piece.unlink()
        piece.symlink_to("/dev/full")
        yield b"x" * 1000
        seen_by_source.append("was asked for more")

    events = await fed(agent, "cat; sleep 1000", stdin())
    (notice,) = (event.text for event in events if isinstance(event, Notice))
    assert notice.startswith("Not all input reached the command, so it is ended: guest-file-flush failed in the guest")
    end = end_of(events)
    assert (end.end, end.may_still_run) == (End.CANCELLED, False)
    assert end.reason == "not all of its input reached it"
    assert seen_by_source == []
    assert agent.leftovers() == []


async def test_input_that_cannot_be_read_here_ends_the_command(agent: HostAgent) -> None:
    async def stdin() -> AsyncIterator[bytes]:
        yield b"part\n"
        raise OSError("the disk is gone")

    events = await fed(agent, "cat; echo over", stdin())
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "Not all input reached the command, so it is ended: the disk is gone"
    ]
    assert end_of(events).end is End.CANCELLED
    assert b"over" not in written(events)


async def test_a_frozen_guest_takes_the_input_later(agent: HostAgent) -> None:
    refused: list[str] = []

    class FakeFreeze(FakeFatefulLine):
        """The agent refuses three writes, as it does in a freeze; the words are its own."""

        async def send(self, request: str, timeout_s: int) -> str:
            if "guest-file-write" in request and len(refused) < 3:
                own = "Command guest-file-write has been disabled: the agent is in frozen state"
                refused.append(request)
                return f'{{"error": {{"class": "CommandNotFound", "desc": "{own}"}}}}'
            return await super().send(request, timeout_s)

    async with aclosing(run(FakeFreeze(agent.line), line("cat"), stdin=pieces_of([b"in"]), pace=QUICK)) as events:
        seen = [event async for event in events]
    assert len(refused) == 3
    assert (written(seen), end_of(seen).exit_code) == (b"in", 0)
