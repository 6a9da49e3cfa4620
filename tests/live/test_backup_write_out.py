"""A guest is asked to write its data out before it is frozen: what its agent may say to that, and what is told."""

import asyncio
from pathlib import Path

import pytest

from tests.live.host_agent import running
from tui.agent.errors import AgentError
from tui.backup.errors import CancelledBackupError
from tui.backup.writeout import NotWrittenOutError, write_out


def programs(folder: Path, sync: str) -> str:
    """A PATH on which `sync` does what the test wants."""
    program = folder / "sync"
    program.write_text(f"#!/bin/sh\n{sync}\n")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


async def test_a_long_write_out_is_told_and_done_again(qemu_ga: Path, tmp_path: Path) -> None:
    times = tmp_path / "times"
    told: list[str] = []
    slow = f"[ -e {times} ] || sleep 2; echo >>{times}"
    with running(qemu_ga, path=programs(tmp_path, slow)) as agent:
        await write_out(agent.line, 60, asyncio.Event(), told.append)
        await agent.line.close()
    assert len(times.read_text().splitlines()) == 2
    assert "of at most 60 s" in told[-1]


async def test_a_write_out_ends_with_its_deadline_and_with_the_order_to_stop(qemu_ga: Path, tmp_path: Path) -> None:
    stop = asyncio.Event()
    with running(qemu_ga, path=programs(tmp_path, "exec sleep 5")) as agent:
        with pytest.raises(NotWrittenOutError):
            await write_out(agent.line, 0.1, stop, print)
        stop.set()
        with pytest.raises(CancelledBackupError):
            await write_out(agent.line, 60, stop, print)
        await agent.line.close()


async def test_an_agent_that_runs_no_programs_says_so(qemu_ga: Path) -> None:
    with running(qemu_ga, "guest-exec") as agent:
        with pytest.raises(AgentError):
            await write_out(agent.line, 60, asyncio.Event(), print)
        await agent.line.close()
