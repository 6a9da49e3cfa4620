"""One of a host's connections is cut under it, at the socket, as a network or a daemon's limit would do it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import weakref
from pathlib import Path

import libvirt
import pytest

from tests.live.watched import PATIENCE_S, watched
from tui.agent import commands
from tui.agent.errors import HostGoneError
from tui.agent.transport import Transport
from tui.fleet.fleet import Link
from tui.fleet.liveness import LivenessPolicy
from tui.hosts.libvirt_host import LibvirtHost
from tui.hosts.port import HostError, PowerWay
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec
from tui.model.events import HostEvent, HostLost
from tui.model.guest import AgentState, PowerState


def sockets() -> dict[str, int]:
    """This process's sockets: a descriptor by its inode."""
    found: dict[str, int] = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:"):
                found[target] = int(link.name)
    return found


def cut(descriptor: int) -> None:
    """End the connection at both ends, and leave the descriptor to libvirt."""
    with socket.socket(fileno=os.dup(descriptor)) as line:
        line.shutdown(socket.SHUT_RDWR)


async def ping_twice(line: Transport) -> float:
    """The second ping: the first may be on its way when the cut is noticed, and nobody repeats what was sent."""
    with contextlib.suppress(HostGoneError):
        await commands.ping(line)
    return await commands.ping(line)


@pytest.mark.parametrize("kind", ["probe", "work"])
async def test_a_line_whose_connection_was_cut_is_opened_anew_and_the_host_is_not_lost(
    lab: Laboratory, web1: str, kind: str
) -> None:
    host, lost = LibvirtHost(lab.uri, "kvm7"), list[HostEvent]()
    await host.open()
    host.subscribe(lambda event: lost.append(event) if isinstance(event, HostLost) else None)
    uuid = next(each.uuid for each in await host.list_domains() if each.name == web1)
    line = host.probe_line(uuid) if kind == "probe" else host.work_line(uuid)
    before = sockets()
    await commands.ping(line)
    (opened,) = (descriptor for inode, descriptor in sockets().items() if inode not in before)
    cut(opened)
    assert await ping_twice(line) > 0
    assert await host.list_domains()
    assert not lost
    await host.close()


async def test_a_host_whose_connections_are_cut_is_lost_and_connected_anew_with_its_events(
    lab: Laboratory, web1: str
) -> None:
    before = sockets()
    async with watched(lab.uri, policy=LivenessPolicy(cycle_s=3600)) as view:
        await view.until_state(web1, AgentState.RESPONDING)
        lost = asyncio.Event()
        view.hosts[0].subscribe(lambda event: lost.set() if isinstance(event, HostLost) else None)
        for inode, descriptor in sockets().items():
            if inode not in before:
                cut(descriptor)
        async with asyncio.timeout(PATIENCE_S):
            await lost.wait()
        await view.until(lambda: view.watch.fleet.hosts[0].link is Link.CONNECTED)
        await lab.virsh("suspend", web1)
        await view.until_state(web1, AgentState.PAUSED)
        await lab.virsh("resume", web1)
        await view.until_state(web1, AgentState.RESPONDING)


async def test_a_host_that_is_opened_again_stays_and_one_that_is_closed_leaves_no_connection(lab: Laboratory) -> None:
    def connections() -> list[libvirt.virConnect]:
        gc.collect()
        return [each for each in gc.get_objects() if isinstance(each, libvirt.virConnect)]

    older, older_sockets = weakref.WeakSet(connections()), sockets()
    host = LibvirtHost(lab.uri, "kvm7")
    for _ in range(3):
        await host.open()
    assert len([each for each in connections() if each not in older]) == 1
    assert len(sockets().keys() - older_sockets) == 1
    await host.close()
    async with asyncio.timeout(PATIENCE_S):
        while any(each not in older for each in connections()) or sockets().keys() - older_sockets:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_hung_agents_that_are_to_shut_down_hold_up_no_list(lab: Laboratory) -> None:
    """libvirt waits for the agent in its own call: two such guests would take the whole control connection."""
    names = ("mute-a", "mute-b")
    for name in names:
        await lab.add(GuestSpec(name))
    host = LibvirtHost(lab.uri, "kvm7")
    await host.open()
    uuids = [each.uuid for each in await host.list_domains() if each.name in names]
    for name in names:
        await lab.wait_for_agent(name)
        await lab.shell(name, "kill -STOP $(pidof qemu-ga)")
    asked = [asyncio.create_task(host.shut_down(uuid, PowerWay.AGENT)) for uuid in uuids]
    async with asyncio.timeout(PATIENCE_S):
        while host.calls["qemuAgentCommand"] < len(names):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert {each.name for each in await host.list_domains()} >= set(names)
    assert not any(task.done() for task in asked)
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(end, HostError) for end in ends), ends
    for name, uuid in zip(names, uuids, strict=True):
        await host.force_off(uuid)
        await lab.virsh("undefine", name)
    await host.close()


@pytest.mark.parametrize("act", ["shut down", pytest.param("reboot", marks=pytest.mark.long)])
async def test_an_agent_that_answers_ends_its_guest_over_the_work_line(lab: Laboratory, act: str) -> None:
    name = f"lamp-{act.replace(' ', '-')}"
    await lab.add(GuestSpec(name))
    await lab.wait_for_agent(name)
    async with watched(lab.uri, policy=LivenessPolicy(cycle_s=3600)) as view:
        guest = await view.until_state(name, AgentState.RESPONDING)
        host, seen = view.hosts[0], view.states[name]
        if act == "reboot":
            await host.reboot(guest.id.uuid, PowerWay.AGENT)
            await view.until(lambda: AgentState.DISCONNECTED in seen)
            await view.until_state(name, AgentState.RESPONDING)
        else:
            await host.shut_down(guest.id.uuid, PowerWay.AGENT)
            await view.until_state(name, AgentState.OFF)
            assert (await host.read_domain(guest.id.uuid)).power is PowerState.OFF
        assert not host.calls["shutdownFlags"]
    if act == "reboot":
        await lab.virsh("destroy", name)
    await lab.virsh("undefine", name)
