"""A guest that is saved, restored or migrated under a running command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.live.watched import PATIENCE_S
from tui.agent.exec_model import ExecPace
from tui.console.session import Session
from tui.console.session_facts import OutputArrived, SessionFact
from tui.console.transcript import EndLine, NoticeLine, OutputLine
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

QUICK = ExecPace(poll_max=0.1, grace=1.0, kill=2.0, patience=5.0)
STEPS = 60
COUNT = f"i=0; while [ $i -lt {STEPS} ]; do echo $i; sleep 0.1; i=$((i+1)); done"


@pytest_asyncio.fixture(loop_scope="session")
async def mover(lab: Laboratory) -> AsyncIterator[str]:
    """A guest of the test's own: it leaves its host."""
    await lab.add(GuestSpec("mover"))
    await lab.wait_for_agent("mover")
    yield "mover"
    await lab.virsh("undefine", "mover", "--managed-save")


async def console_at(host: LibvirtHost, name: str) -> Session:
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == name)
    return Session(host.work_line(uuid), pace=QUICK)


async def begun(session: Session, line: str) -> None:
    """Run a line; returns when it has written something."""
    came = asyncio.Event()

    def note(fact: SessionFact) -> None:
        if isinstance(fact, OutputArrived):
            came.set()

    session.subscribe(note)
    session.run(line)
    async with asyncio.timeout(PATIENCE_S):
        await came.wait()


async def said(session: Session, words: str) -> None:
    """Wait for a notice; the end of its command would be too late."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(
            words in each.text for each in session.scrollback.transcript.since() if isinstance(each, NoticeLine)
        ):
            assert session.is_running
            await asyncio.sleep(0.05)


async def ended(session: Session) -> str:
    """What was said of the command, once it is over."""
    async with asyncio.timeout(PATIENCE_S):
        await session.idle()
    entries = session.scrollback.transcript.since()
    return "\n".join(each.text for each in entries if isinstance(each, (NoticeLine, EndLine)))


def counted(session: Session) -> list[int]:
    return [int(each.text) for each in session.scrollback.transcript.since() if isinstance(each, OutputLine)]


@pytest.mark.long
async def test_a_command_goes_on_after_save_and_restore_and_is_told_lost_after_migration(
    lab: Laboratory, mover: str
) -> None:
    host = LibvirtHost(lab.uri, "lab")
    await host.open()
    session = await console_at(host, mover)

    await begun(session, COUNT)
    await lab.virsh("managedsave", mover)
    await said(session, "The agent says no more of the command")
    await lab.virsh("start", mover)
    told = await ended(session)
    assert "The agent answers again." in told
    assert "exit 0 after" in told
    assert counted(session) == list(range(STEPS))

    await begun(session, "echo up; exec sleep 1000")
    async with Laboratory() as elsewhere:
        await lab.virsh("migrate", "--live", "--unsafe", mover, elsewhere.uri)
        told = await ended(session)
        assert "may still run" in told
        assert session.last is not None
        assert (await elsewhere.shell(mover, f"kill {session.last.pid}")).code == 0
        await elsewhere.virsh("destroy", mover)
    await session.close()
    await host.close()
