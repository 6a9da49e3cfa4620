"""The live list against real guests: what is shown is so, and changes by itself."""

from __future__ import annotations

from tests.live.watched import watched
from tui.fleet.liveness import LivenessPolicy
from tui.fleet.survey import survey
from tui.hosts.libvirt_host import LibvirtHost
from tui.lab.laboratory import Laboratory
from tui.model.guest import AgentState

ON_DEMAND = LivenessPolicy(cycle_s=3600)


async def test_an_agent_that_is_killed_and_started_changes_its_row_by_events_alone(lab: Laboratory, web1: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        await view.until_state(web1, AgentState.RESPONDING)
        await lab.shell(web1, "systemctl stop qemu-guest-agent")
        gone = await view.until_state(web1, AgentState.DISCONNECTED)
        assert gone.agent.since is not None
        await lab.shell(web1, "systemctl start qemu-guest-agent")
        back = await view.until_state(web1, AgentState.RESPONDING)
        assert back.agent.since is not None
        assert back.agent.since > gone.agent.since
        assert [each.what.partition(":")[0] for each in back.timeline][-3:] == [
            "agent disconnected",
            "agent connected",
            "agent responding",
        ]


async def test_a_stopped_process_is_unresponsive_at_the_first_unanswered_ping(lab: Laboratory, web1: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        guest = await view.until_state(web1, AgentState.RESPONDING)
        await lab.shell(web1, "kill -STOP $(pidof qemu-ga)")
        try:
            assert guest.agent.state is AgentState.RESPONDING
            view.watch.ask(guest.id)
            silent = await view.until_state(web1, AgentState.UNRESPONSIVE)
            assert silent.agent.reason == "port open, last ping unanswered"
        finally:
            await lab.shell(web1, "kill -CONT $(pidof qemu-ga)")
        view.watch.ask(guest.id)
        await view.until_state(web1, AgentState.RESPONDING)


async def test_a_paused_and_a_frozen_guest_are_told_apart_from_sick_ones(lab: Laboratory, web1: str) -> None:
    async with watched(lab.uri, policy=ON_DEMAND) as view:
        guest = await view.until_state(web1, AgentState.RESPONDING)
        await lab.virsh("suspend", web1)
        paused = await view.until_state(web1, AgentState.PAUSED)
        assert paused.agent.reason == "paused by a user"
        await lab.virsh("resume", web1)
        await view.until_state(web1, AgentState.RESPONDING)
        await lab.agent_command(web1, "guest-fsfreeze-freeze")
        try:
            view.watch.ask(guest.id)
            await view.until_state(web1, AgentState.FROZEN)
        finally:
            await lab.agent_command(web1, "guest-fsfreeze-thaw")
        view.watch.ask(guest.id)
        await view.until_state(web1, AgentState.RESPONDING)


async def test_a_survey_pings_before_it_answers(lab: Laboratory, web1: str) -> None:
    host = LibvirtHost(lab.uri, "kvm7")
    fleet = await survey((host,))
    await host.close()
    (guest,) = (guest for guest in fleet.guests.values() if guest.name == web1)
    assert guest.agent.state is AgentState.RESPONDING
    assert guest.agent.ping_ms is not None
    assert guest.agent.since is None


async def test_a_survey_leaves_a_guest_alone_that_a_backup_works_on(lab: Laboratory, web1: str) -> None:
    host = LibvirtHost(lab.uri, "kvm7")
    fleet = await survey((host,), is_held=lambda _id: True)
    await host.close()
    (guest,) = (guest for guest in fleet.guests.values() if guest.name == web1)
    assert guest.agent.state is AgentState.CONNECTED
