"""One guest through every state that can be made real: shown truly, in order, in list, JSON and timeline."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.live.watched import Watched, watched
from tui.fleet.liveness import LivenessPolicy
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.guest import AgentState

ON_DEMAND = LivenessPolicy(cycle_s=3600)
SHIFTY = GuestSpec("shifty", kernel_args=("panic=0",), start=False)
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shifty(lab: Laboratory) -> AsyncIterator[str]:
    """A guest that is off and belongs to this module."""
    await lab.add(SHIFTY)
    yield SHIFTY.name
    await lab.virsh("undefine", SHIFTY.name)


async def listed(lab: Laboratory, name: str) -> str:
    """What another process says of the guest's agent: `list --json`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tui", "-c", lab.uri, "list", "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    (state,) = (guest["agent"]["state"] for guest in json.loads(out) if guest["name"] == name)
    return str(state)


async def becomes(view: Watched, lab: Laboratory, name: str, state: AgentState, reason: str) -> None:
    """The list shows the state and the reason, and another process says the same."""
    guest = await view.until_state(name, state)
    assert reason in guest.agent.reason
    assert guest.agent.since is not None
    assert await listed(lab, name) == state


def asked_again(view: Watched, name: str) -> None:
    """Somebody looks at the guest."""
    guest = view.guest(name)
    assert guest is not None
    view.watch.ask(guest.id)


async def test_a_guest_in_every_state_is_shown_in_that_state(lab: Laboratory, shifty: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        first = await view.until_state(shifty, AgentState.OFF)
        assert first.agent.since is None

        await lab.start(shifty)
        await becomes(view, lab, shifty, AgentState.DISCONNECTED, "nothing in the guest has the port open")
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered the last ping")

        await lab.shell(shifty, "kill -STOP $(pidof qemu-ga)")
        asked_again(view, shifty)
        await becomes(view, lab, shifty, AgentState.UNRESPONSIVE, "last ping unanswered")
        asked_again(view, shifty)
        await view.until(lambda: "2 pings unanswered" in str(view.guest(shifty)))
        await lab.shell(shifty, "kill -CONT $(pidof qemu-ga)")
        asked_again(view, shifty)
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.agent_command(shifty, "guest-fsfreeze-freeze")
        asked_again(view, shifty)
        await becomes(view, lab, shifty, AgentState.FROZEN, "file systems are frozen")
        await lab.agent_command(shifty, "guest-fsfreeze-thaw")
        asked_again(view, shifty)
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.virsh("suspend", shifty)
        await becomes(view, lab, shifty, AgentState.PAUSED, "paused by a user")
        asked_again(view, shifty)
        await lab.virsh("resume", shifty)
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered")

        await lab.shell(shifty, "systemctl stop qemu-guest-agent")
        await becomes(view, lab, shifty, AgentState.DISCONNECTED, "nothing in the guest has the port open")
        await lab.shell(shifty, "systemctl start qemu-guest-agent")
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered")

        seen = [state for state in view.states[shifty] if state is not AgentState.CONNECTED]
        assert seen == [
            AgentState.OFF,
            AgentState.DISCONNECTED,
            AgentState.RESPONDING,
            AgentState.UNRESPONSIVE,
            AgentState.RESPONDING,
            AgentState.FROZEN,
            AgentState.RESPONDING,
            AgentState.PAUSED,
            AgentState.RESPONDING,
            AgentState.DISCONNECTED,
            AgentState.RESPONDING,
        ]
        guest = view.guest(shifty)
        assert guest is not None
        told = [line.what.partition(":")[0] for line in guest.timeline if line.what.startswith("agent ")]
        told = [words.removeprefix("agent ") for words in told if words.removeprefix("agent ") in list(AgentState)]
        assert [state for state in told if state != AgentState.CONNECTED] == [str(state) for state in seen[1:]]
        assert {"started", "paused", "resumed"} <= {line.what for line in guest.timeline}


async def test_no_answer_is_claimed_while_another_client_holds_the_port(lab: Laboratory, shifty: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        await view.until_state(shifty, AgentState.RESPONDING)
        source = ET.fromstring(await lab.virsh("dumpxml", shifty)).find("./devices/channel/source")
        assert source is not None
        with socket.socket(socket.AF_UNIX) as intruder:
            await asyncio.to_thread(intruder.connect, source.get("path", ""))
            await lab.shell(shifty, "systemctl restart qemu-guest-agent")
            asked_again(view, shifty)
            await becomes(view, lab, shifty, AgentState.UNRESPONSIVE, "unanswered")
        await lab.shell(shifty, "systemctl restart qemu-guest-agent")
        asked_again(view, shifty)
        await view.until_state(shifty, AgentState.RESPONDING)


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
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        await view.until_state(shifty, AgentState.RESPONDING)
        await change_channel(lab, shifty, "detach-device", await channel_of(lab, shifty), "--live")
        view.watch.relist()
        await becomes(view, lab, shifty, AgentState.PENDING, "next power cycle")
        await change_channel(lab, shifty, "detach-device", stored, "--config")
        view.watch.relist()
        await becomes(view, lab, shifty, AgentState.NO_CHANNEL, "no agent device")
        await change_channel(lab, shifty, "attach-device", CHANNEL, "--live")
        await becomes(view, lab, shifty, AgentState.RESPONDING, "answered")
        await change_channel(lab, shifty, "attach-device", CHANNEL, "--config")


async def test_a_panicked_guest_is_never_responding_and_a_destroyed_one_is_off(lab: Laboratory, shifty: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        await view.until_state(shifty, AgentState.RESPONDING)
        # The shell that is told to panic never answers.
        panic = asyncio.create_task(lab.shell(shifty, "echo c > /proc/sysrq-trigger", timeout=2))
        await asyncio.gather(panic, return_exceptions=True)
        asked_again(view, shifty)
        await becomes(view, lab, shifty, AgentState.UNRESPONSIVE, "unanswered")
        await lab.virsh("destroy", shifty)
        await becomes(view, lab, shifty, AgentState.OFF, "forced off")
