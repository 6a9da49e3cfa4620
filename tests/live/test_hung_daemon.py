"""A libvirtd that is stopped, and not gone: it is told as what it is, and nobody has to wait for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.live.piloted import go_to, until
from tests.live.test_exec_in_guest import qga_tui
from tests.live.test_reconnect import state_of
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.fleet.fleet import Link
from tui.lab.laboratory import Laboratory
from tui.model.guest import AgentState


@contextmanager
def stopped_daemon(lab: Laboratory) -> Iterator[None]:
    """libvirtd by SIGSTOP, and on again after the body."""
    pid = int((lab.folder / "r" / "libvirtd.pid").read_text("ascii"))
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_daemon_that_hangs_is_no_fault_of_an_agent_and_holds_nobody_up(lab: Laboratory, web1: str) -> None:
    app = QgaTui(hosts_for((lab.uri,)))
    async with (
        app.run_test(size=(80, 24)) as pilot,
        qga_tui("exec", "-c", lab.uri, web1, "--", "sh", "-c", "echo begun; sleep 1000") as running,
    ):
        await go_to(pilot, app, web1)
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
        assert running.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await running.stdout.readline() == b"begun\n"
        with stopped_daemon(lab):
            async with qga_tui("list", "-c", lab.uri) as listing:
                running.send_signal(signal.SIGINT)
                await asyncio.sleep(0.2)
                running.send_signal(signal.SIGINT)
                async with asyncio.timeout(PATIENCE_S):
                    assert await running.wait() == 130
                    _, said = await listing.communicate()
            assert listing.returncode == 2
            assert "libvirt does not answer" in said.decode()
            await until(pilot, lambda: app.fleet.hosts[0].link is Link.SILENT)
            assert state_of(app, web1) is AgentState.UNKNOWN
            assert "not answering since" in str(app.screen.query_one("#hosts").render())
        await pilot.press("r")
        await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
    await lab.shell(web1, "pkill -f 'sleep 1000' || true")
