"""A guest that is paused, saved, reset or switched off under a running command, as the console shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from textual.widgets import Static

from tests.live.test_console_screen import Console, console
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.screens.console import ConsoleScreen
from tui.widgets.prompt_input import PromptInput

SILENCE = "The agent says no more of the command"
STEPS = 40
COUNT = f"echo up; i=0; while [ $i -lt {STEPS} ]; do i=$((i+1)); sleep 0.1; done; echo down"


@pytest_asyncio.fixture(loop_scope="session")
async def sleeper(lab: Laboratory) -> AsyncIterator[str]:
    """A guest of the test's own: it is switched off."""
    await lab.add(GuestSpec("sleeper"))
    await lab.wait_for_agent("sleeper")
    yield "sleeper"
    await lab.virsh("undefine", "sleeper")


def title(one: Console) -> str:
    return str(one.app.screen.query_one("#title", Static).render())


def told(one: Console) -> str:
    assert isinstance(one.app.screen, ConsoleScreen)
    entries = one.app.screen.scrollback.transcript.since()
    return "\n".join(entry.text for entry in entries)


async def begin(one: Console, line: str) -> None:
    """Type a line; returns when it has written `up`."""
    before = told(one).splitlines().count("up")
    one.app.screen.query_one("#prompt", PromptInput).value = line
    await one.pilot.press("enter")
    await one.until(lambda: told(one).splitlines().count("up") > before)


async def test_what_becomes_of_a_guest_is_told_by_its_host_and_not_by_its_agents_silence(
    lab: Laboratory, sleeper: str
) -> None:
    async with console(lab, sleeper) as one:
        await one.until(lambda: " ready" in title(one))

        await begin(one, COUNT)
        await lab.virsh("suspend", sleeper)
        await one.until_visible("The guest is paused (paused by a user)")
        await one.until(lambda: "‖ guest paused: paused by a user" in title(one))
        await lab.virsh("resume", sleeper)
        await one.until_visible("The guest goes on, and the command with it.")
        await one.until(lambda: "guest paused" not in title(one))
        await one.until_visible("= exit 0 after")

        await begin(one, COUNT)
        await lab.virsh("managedsave", sleeper)
        await one.until_visible("The guest was saved to disk")
        await one.until(lambda: "○ guest off: saved to disk" in title(one))
        await lab.virsh("start", sleeper)
        await one.until(lambda: told(one).count("exit 0 after") == 2)
        assert told(one).count("The guest goes on") == 2

        await begin(one, "echo up; exec sleep 1000")
        await lab.virsh("reset", sleeper)
        await one.until_visible("its end was not seen: the guest was started anew")
        await lab.wait_for_agent(sleeper)
        await one.until(lambda: " ready" in title(one))

        await begin(one, "echo up; exec sleep 1000")
        await lab.virsh("destroy", sleeper)
        await one.until_visible("its end was not seen: the guest is off (forced off)")
        await one.until(lambda: "agent off" in title(one))
        assert SILENCE not in told(one)
        assert "may still run" not in told(one)
