"""One guest through every state that can be made real: shown truly, in order, in list, JSON and timeline."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.live.shown import Look, ShownGuest, shown_guest
from tests.live.sickness import HOOK, SLOW_FREEZE
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import AgentState

SHIFTY = GuestSpec("shifty", kernel_args=("panic=0",), extra_files=(HOOK,), agent_args=(f"-F{HOOK.path}",), start=False)
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shifty(lab: Laboratory) -> AsyncIterator[str]:
    """A guest that is off and belongs to this module."""
    await lab.add(SHIFTY)
    yield SHIFTY.name
    await lab.virsh("undefine", SHIFTY.name)


async def listed(lab: Laboratory, name: str) -> tuple[str, str]:
    """What another process says of the guest's agent, and why: `list --json`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tui", "-c", lab.uri, "list", "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    (agent,) = (guest["agent"] for guest in json.loads(out) if guest["name"] == name)
    return agent["state"], agent["reason"]


async def becomes(shown: ShownGuest, lab: Laboratory, name: str, state: AgentState, reason: str) -> Look:
    """The list shows the state and the reason, with an age, and another process says the same."""
    look = await shown.until(state, reason)
    assert look.since
    assert bool(look.ping) is (state in {AgentState.RESPONDING, AgentState.FROZEN})
    said, why = await listed(lab, name)
    assert said == state
    assert reason in why
    return look


def agent_states(timeline: list[str]) -> list[str]:
    """The states of the agent among what happened, in order."""
    happened = (what.removeprefix("agent ").partition(":")[0] for what in timeline if what.startswith("agent "))
    return [word for word in happened if word in list(AgentState)]


def without_connected(states: list[AgentState]) -> list[AgentState]:
    """States without the one that may last for less than a paint: a port that opened, and was not answered yet."""
    return [state for state in states if state is not AgentState.CONNECTED]


COURSE = [
    AgentState.OFF,
    AgentState.DISCONNECTED,
    AgentState.CONNECTED,
    AgentState.RESPONDING,
    AgentState.UNRESPONSIVE,
    AgentState.RESPONDING,
    AgentState.FROZEN,
    AgentState.RESPONDING,
    AgentState.CONNECTED,
    AgentState.FROZEN,
    AgentState.RESPONDING,
    AgentState.PAUSED,
    AgentState.CONNECTED,
    AgentState.RESPONDING,
    AgentState.DISCONNECTED,
    AgentState.CONNECTED,
    AgentState.RESPONDING,
    AgentState.UNKNOWN,
    AgentState.CONNECTED,
    AgentState.RESPONDING,
]


async def test_a_guest_in_every_state_is_shown_in_that_state(lab: Laboratory, shifty: str) -> None:
    async with shown_guest(lab.uri, shifty) as shown:
        assert not (await shown.until(AgentState.OFF)).since, "nobody knows since when"
        assert (await listed(lab, shifty))[0] == AgentState.OFF

        await lab.start(shifty)
        await becomes(shown, lab, shifty, AgentState.DISCONNECTED, "nothing in the guest has the port open")
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered the last ping")

        await lab.shell(shifty, "kill -STOP $(pidof qemu-ga)")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.UNRESPONSIVE, "last ping unanswered")
        shown.ask()
        await shown.until(AgentState.UNRESPONSIVE, "2 pings unanswered")
        await lab.shell(shifty, "kill -CONT $(pidof qemu-ga)")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.agent_command(shifty, "guest-fsfreeze-freeze")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.FROZEN, "file systems are frozen")
        await lab.agent_command(shifty, "guest-fsfreeze-thaw")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.shell(shifty, f": >{SLOW_FREEZE}")
        slow_freeze = asyncio.create_task(lab.virsh("domfsfreeze", shifty))
        await lab.shell(shifty, "until [ -e /run/freezing ]; do sleep 0.2; done")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.CONNECTED, "another program")
        await lab.shell(shifty, f"rm {SLOW_FREEZE}")
        await slow_freeze
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.FROZEN, "file systems are frozen")
        await lab.virsh("domfsthaw", shifty)
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.virsh("suspend", shifty)
        await becomes(shown, lab, shifty, AgentState.PAUSED, "paused by a user")
        shown.ask()
        await lab.virsh("resume", shifty)
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.shell(shifty, "systemctl stop qemu-guest-agent")
        await becomes(shown, lab, shifty, AgentState.DISCONNECTED, "nothing in the guest has the port open")
        await lab.shell(shifty, "systemctl start qemu-guest-agent")
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.kill_daemon()
        try:
            await shown.until(AgentState.UNKNOWN, "its host is lost; it was running, its agent responding")
        finally:
            await lab.start_daemon()
        shown.ask()
        await becomes_unaged(shown, lab, shifty)

        assert without_connected(shown.states) == without_connected(COURSE)
        timeline = shown.timeline()
        assert agent_states(timeline) == [state for state in COURSE[1:] if state is not AgentState.UNKNOWN]
        assert {"started", "paused", "resumed", "its host is lost"} <= set(timeline)


async def becomes_unaged(shown: ShownGuest, lab: Laboratory, name: str) -> None:
    """The agent of a guest that came back into sight answers, nobody knows since when."""
    assert not (await shown.until(AgentState.RESPONDING, "answered")).since
    assert (await listed(lab, name))[0] == AgentState.RESPONDING


@pytest.mark.long
async def test_no_answer_is_claimed_while_another_client_holds_the_port(lab: Laboratory, shifty: str) -> None:
    async with shown_guest(lab.uri, shifty) as shown:
        await shown.until(AgentState.RESPONDING)
        source = ET.fromstring(await lab.virsh("dumpxml", shifty)).find("./devices/channel/source")
        assert source is not None
        with socket.socket(socket.AF_UNIX) as intruder:
            await asyncio.to_thread(intruder.connect, source.get("path", ""))
            await lab.shell(shifty, "systemctl restart qemu-guest-agent")
            await becomes(shown, lab, shifty, AgentState.UNRESPONSIVE, "unanswered")
            held = shown.states[shown.states.index(AgentState.DISCONNECTED) :]
            assert AgentState.RESPONDING not in held
        await lab.shell(shifty, "systemctl restart qemu-guest-agent")
        await shown.until(AgentState.RESPONDING)


async def change_channel(lab: Laboratory, name: str, verb: str, xml: str, scope: str) -> None:
    """Attach or detach the channel in one of the two definitions."""
    file = lab.folder / "channel.xml"
    await asyncio.to_thread(file.write_text, xml)
    await lab.virsh(verb, name, str(file), scope)


async def channel_of(lab: Laboratory, name: str, *words: str) -> str:
    """The channel as a definition has it."""
    element = ET.fromstring(await lab.virsh("dumpxml", name, *words)).find("./devices/channel")
    assert element is not None
    return ET.tostring(element, encoding="unicode")


async def test_a_channel_that_comes_and_goes_while_the_guest_runs(lab: Laboratory, shifty: str) -> None:
    stored = await channel_of(lab, shifty, "--inactive")
    async with shown_guest(lab.uri, shifty) as shown:
        await shown.until(AgentState.RESPONDING)
        await change_channel(lab, shifty, "detach-device", await channel_of(lab, shifty), "--live")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.PENDING, "next power cycle")
        await change_channel(lab, shifty, "detach-device", stored, "--config")
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.NO_CHANNEL, "no agent device")
        await change_channel(lab, shifty, "attach-device", CHANNEL, "--live")
        await becomes(shown, lab, shifty, AgentState.RESPONDING, "answered")
        await change_channel(lab, shifty, "attach-device", CHANNEL, "--config")


@pytest.mark.long
async def test_a_panicked_guest_is_never_responding_and_a_destroyed_one_is_off(lab: Laboratory, shifty: str) -> None:
    async with shown_guest(lab.uri, shifty) as shown:
        await shown.until(AgentState.RESPONDING)
        # The shell that is told to panic never answers.
        panic = asyncio.create_task(lab.shell(shifty, "echo c > /proc/sysrq-trigger", timeout=2))
        await asyncio.gather(panic, return_exceptions=True)
        shown.ask()
        await becomes(shown, lab, shifty, AgentState.UNRESPONSIVE, "unanswered")
        await lab.virsh("destroy", shifty)
        await becomes(shown, lab, shifty, AgentState.OFF, "forced off")
        assert without_connected(shown.states) == [AgentState.RESPONDING, AgentState.UNRESPONSIVE, AgentState.OFF]
        assert "forced off" in shown.timeline()[-1]
