"""The agent's typed commands and its files, on a real agent."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from tests.live.host_agent import HARMFUL, HostAgent
from tests.tui.sample import guest
from tui.agent import commands
from tui.agent.commands import FreezeStatus
from tui.agent.errors import CommandFailedError, CommandUnavailableError
from tui.agent.files import READ_PIECE, Whence, opened, read_chunk, write_file
from tui.fleet.details import known_sections
from tui.fleet.introduction import introduce
from tui.model.guest import AgentState


async def test_the_agent_tells_of_itself_and_its_system(agent: HostAgent) -> None:
    assert await commands.ping(agent.line) > 0
    info = await commands.info(agent.line)
    assert info.version
    assert info.offers("guest-exec", "guest-file-open")
    assert info.disabled >= {"guest-shutdown", "guest-fsfreeze-freeze"}
    assert not info.offers(*HARMFUL)
    assert (await commands.osinfo(agent.line)).kernel_release
    assert await commands.fsfreeze_status(agent.line) is FreezeStatus.THAWED


async def test_all_its_commands_are_in_the_details_the_disabled_ones_marked(agent: HostAgent) -> None:
    facts = await introduce(agent.line, 5)
    known = known_sections(replace(guest("web1", AgentState.RESPONDING), agent_facts=facts))
    (section,) = (each for each in known if each.title == "Commands")
    counted, disabled, enabled = section.lines
    assert counted == f"{len(facts.enabled)} enabled, {len(facts.blocked)} disabled"
    assert set(disabled.removeprefix("⊘ disabled: ").split(", ")) >= set(HARMFUL)
    assert {"guest-ping", "guest-info", "guest-exec"} <= set(enabled.removeprefix("✓ enabled: ").split(", "))


async def test_a_blocked_command_is_unavailable(agent: HostAgent) -> None:
    with pytest.raises(CommandUnavailableError):
        await commands.fsfreeze_freeze(agent.line, timeout_s=5)


async def test_the_first_status_after_the_end_is_the_only_one(agent: HostAgent) -> None:
    pid = await commands.exec_start(agent.line, "true", capture=True)
    while not (await commands.exec_status(agent.line, pid)).exited:
        continue
    with pytest.raises(CommandFailedError):
        await commands.exec_status(agent.line, pid)


async def test_a_large_file_is_written_and_read_back_in_pieces(agent: HostAgent) -> None:
    await commands.ping(agent.line)
    before = agent.open_files()
    data = hashlib.shake_256(b"seed").digest(READ_PIECE + 300_001)
    path = agent.folder / "file with a name"
    await write_file(agent.line, str(path), data)
    assert path.read_bytes() == data
    assert await read_chunk(agent.line, str(path), 0) == data[:READ_PIECE]
    assert await read_chunk(agent.line, str(path), READ_PIECE, limit=10 * READ_PIECE) == data[READ_PIECE:]
    assert await read_chunk(agent.line, str(path), len(data)) == b""
    async with opened(agent.line, str(path), "r") as file:
        assert await file.seek(-3, Whence.END) == len(data) - 3
        assert await file.read() == data[-3:]
    assert agent.open_files() == before


async def test_a_handle_is_given_back_when_its_user_is_cancelled(agent: HostAgent) -> None:
    await commands.ping(agent.line)
    before = agent.open_files()
    is_open = asyncio.Event()

    async def hold() -> None:
        async with opened(agent.line, str(agent.folder / "held"), "w"):
            is_open.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await is_open.wait()
    assert agent.open_files() == before + 1
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert agent.open_files() == before


async def test_a_missing_file_fails_in_the_agents_words(agent: HostAgent) -> None:
    with pytest.raises(CommandFailedError) as caught:
        await read_chunk(agent.line, "/no/such/file", 0)
    assert "No such file" in caught.value.original
