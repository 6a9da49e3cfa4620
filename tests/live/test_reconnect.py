"""The daemon dies under the open list: rows stay and are marked as old, and all is live again when it is back."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.live.piloted import go_to, until
from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.cli.connect import hosts_for
from tui.fleet.fleet import Link
from tui.lab.laboratory import Laboratory
from tui.lab.spec import AgentSetup, GuestSpec
from tui.model.guest import AgentState
from tui.widgets.guest_rows import GuestRows


def state_of(app: QgaTui, name: str) -> AgentState | None:
    """The agent's state of a guest as the app has it."""
    return next((guest.agent.state for guest in app.fleet.guests.values() if guest.name == name), None)


async def test_a_killed_daemon_leaves_the_rows_and_a_new_one_brings_them_back_to_life(
    lab: Laboratory, web1: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = QgaTui(hosts_for((lab.uri,)))
    with caplog.at_level(logging.WARNING):
        async with app.run_test(size=(80, 24)) as pilot:
            await go_to(pilot, app, web1)
            await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
            before = app.screen.query_one(GuestRows).row_count
            await lab.kill_daemon()
            try:
                await until(pilot, lambda: app.fleet.hosts[0].link is Link.LOST)
                assert app.screen.query_one(GuestRows).row_count == before
                assert "lost since" in str(app.screen.query_one("#hosts").render())
                assert state_of(app, web1) is AgentState.UNKNOWN
                rows = app.screen.query_one(GuestRows)
                assert all(any(cell.startswith("? unknown") for cell in rows.row(place)) for place in range(before))
            finally:
                await lab.start_daemon()
            # The list changes while nobody is connected.
            await lab.add(GuestSpec("newborn", agent=AgentSetup.NOT_INSTALLED, start=False))
            await pilot.press("r")
            await until(pilot, lambda: app.fleet.hosts[0].link is Link.CONNECTED)
            await until(pilot, lambda: state_of(app, "newborn") is AgentState.OFF)
            await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
            await lab.shell(web1, "systemctl stop qemu-guest-agent")
            await until(pilot, lambda: state_of(app, web1) is AgentState.DISCONNECTED)
            await lab.shell(web1, "systemctl start qemu-guest-agent")
            await until(pilot, lambda: state_of(app, web1) is AgentState.RESPONDING)
            await lab.virsh("undefine", "newborn")
            await until(pilot, lambda: state_of(app, "newborn") is None)
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    async with asyncio.timeout(PATIENCE_S):
        await lab.wait_for_agent(web1)
