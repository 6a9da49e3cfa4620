"""^c ends a line at once that has not begun yet, whatever in the guest it waits for."""

from __future__ import annotations

import asyncio
import signal

from tests.live.host_agent import HostAgent, until
from tests.live.test_agent_exec import QUICK
from tui.agent.exec_model import CANCELLED_BEFORE, End
from tui.console.session import Session
from tui.console.session_facts import CommandEnded, SessionFact

AT_ONCE_S = 3.0
"""Far below the time after which a call to a stopped agent is given up."""


async def test_a_line_that_waits_for_a_stopped_agent_is_cancelled_at_once(agent: HostAgent) -> None:
    session = Session(agent.line, pace=QUICK)
    ended: list[int] = []

    def heard(fact: SessionFact) -> None:
        if isinstance(fact, CommandEnded):
            ended.append(fact.number)
            if fact.number == 1:
                # Before the first line could say what it leaves to the second.
                agent.process.send_signal(signal.SIGSTOP)

    session.subscribe(heard)
    session.run("echo one")
    await until(lambda: ended == [1])
    try:
        session.run("echo two")
        await asyncio.sleep(0.3)
        assert session.is_running
        session.cancel()
        async with asyncio.timeout(AT_ONCE_S):
            await until(lambda: len(ended) > 1)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    finished = session.scrollback.records[-1].finished
    assert finished is not None
    assert (finished.end, finished.reason) == (End.CANCELLED, CANCELLED_BEFORE)
    session.run("echo three")
    await until(lambda: len(ended) > 2)
    third = session.scrollback.records[-1].finished
    assert third is not None
    assert (third.end, third.exit_code) == (End.EXITED, 0)
    await session.close()
    await until(lambda: agent.leftovers() == [])
