"""The folding of facts, events and pings into the fleet; pure values throughout."""

from dataclasses import replace

import pytest

from tui.fleet.columns import ALL, DEFAULT_KEYS, cell, fitting
from tui.fleet.fleet import (
    TIMELINE_LENGTH,
    Fleet,
    facts_read,
    first_seen,
    out_of_sight,
    port_changed,
    probed,
    remembered,
)
from tui.fleet.liveness import LivenessPolicy, pause_s
from tui.fleet.words import age, ping
from tui.model.events import AgentPortClosed, AgentPortOpened
from tui.model.guest import AgentFacts, AgentState, Channel, DomainFacts, Guest, PowerState
from tui.model.probe import Answered, Silence, Unanswered

OPEN = DomainFacts("u1", "web1", PowerState.RUNNING, "booted", Channel.OPEN)
CLOSED = replace(OPEN, channel=Channel.CLOSED)
OFF = replace(OPEN, power=PowerState.OFF, power_reason="shut down", channel=Channel.CLOSED)


def guest(facts: DomainFacts = OPEN) -> Guest:
    return first_seen("kvm7", facts)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (OPEN, AgentState.CONNECTED),
        (CLOSED, AgentState.DISCONNECTED),
        (OFF, AgentState.OFF),
        (replace(OPEN, power=PowerState.PAUSED), AgentState.PAUSED),
        (replace(OPEN, power=PowerState.UNKNOWN), AgentState.UNKNOWN),
        (replace(OPEN, channel=Channel.ABSENT), AgentState.NO_CHANNEL),
        (replace(OPEN, channel=Channel.STORED_ONLY), AgentState.PENDING),
        (replace(OPEN, channel=Channel.UNKNOWN), AgentState.UNKNOWN),
    ],
)
def test_the_xml_alone_never_claims_an_answer(facts: DomainFacts, state: AgentState) -> None:
    agent = guest(facts).agent
    assert (agent.state, agent.since, agent.ping_ms) == (state, None, None)


def test_only_an_answer_makes_an_agent_responding_and_the_first_one_claims_no_age() -> None:
    answered = probed(guest(), Answered(100.0, 0.8, frozen=False))
    assert (answered.agent.state, answered.agent.ping_ms, answered.agent.since) == (AgentState.RESPONDING, 0.8, None)


def test_the_first_unanswered_ping_shows_and_the_later_ones_are_counted() -> None:
    silent = probed(probed(guest(), Answered(1.0, 1.0, frozen=False)), Unanswered(60.0, Silence.NO_REPLY, "86"))
    assert (silent.agent.state, silent.agent.since) == (AgentState.UNRESPONSIVE, 60.0)
    again = probed(silent, Unanswered(120.0, Silence.NO_REPLY, "86"))
    assert again.agent.reason == "port open, 2 pings unanswered"
    assert again.agent.since == 60.0
    assert probed(again, Answered(130.0, 1.0, frozen=False)).agent.state is AgentState.RESPONDING


def test_a_frozen_guest_is_frozen_though_it_answers() -> None:
    assert probed(guest(), Answered(1.0, 1.0, frozen=True)).agent.state is AgentState.FROZEN


def test_a_closing_port_forgets_the_answer_and_dates_the_change() -> None:
    answered = probed(guest(), Answered(1.0, 1.0, frozen=False))
    closed = port_changed(answered, AgentPortClosed("kvm7", "u1", "by the guest", 50.0))
    assert (closed.agent.state, closed.agent.since, closed.probe) == (AgentState.DISCONNECTED, 50.0, None)
    opened = port_changed(closed, AgentPortOpened("kvm7", "u1", "by the guest", 51.0))
    assert (opened.agent.state, opened.agent.since) == (AgentState.CONNECTED, 51.0)
    assert probed(opened, Answered(51.2, 1.0, frozen=False)).agent.since == 51.2


def test_port_events_of_a_guest_that_is_off_change_nothing_that_is_shown() -> None:
    assert port_changed(guest(OFF), AgentPortOpened("kvm7", "u1", "", 5.0)).agent == guest(OFF).agent


def test_an_answer_to_a_question_asked_before_the_event_does_not_undo_the_event() -> None:
    closed = port_changed(guest(), AgentPortClosed("kvm7", "u1", "", 50.0))
    assert facts_read(closed, OPEN, asked_at=49.9, now=50.1).agent.state is AgentState.DISCONNECTED
    assert facts_read(closed, OPEN, asked_at=50.2, now=50.3).agent.state is AgentState.CONNECTED


def test_unchanged_facts_keep_the_proof_and_a_restart_drops_it() -> None:
    answered = probed(guest(), Answered(1.0, 1.0, frozen=False))
    assert facts_read(answered, OPEN, 2.0, 2.0).agent == answered.agent
    off = facts_read(answered, OFF, 3.0, 3.0)
    assert (off.agent.state, off.agent.reason, off.agent.since) == (AgentState.OFF, "shut down", 3.0)
    assert facts_read(off, OPEN, 4.0, 4.0).agent.state is AgentState.CONNECTED


def test_the_timeline_tells_changes_and_is_bounded() -> None:
    closed = port_changed(guest(), AgentPortClosed("kvm7", "u1", "", 50.0))
    (happening,) = closed.timeline
    assert happening.what.startswith("agent disconnected: closed ")
    for moment in range(TIMELINE_LENGTH + 5):
        closed = remembered(closed, "paused", float(moment))
    assert len(closed.timeline) == TIMELINE_LENGTH


def test_a_fleet_is_itself_when_nothing_differs() -> None:
    fleet = Fleet().with_guests(guest())
    assert fleet.with_guests(guest()) is fleet
    assert fleet.without() is fleet
    assert not fleet.without(guest().id).guests


def test_silence_slows_the_asking_only_after_patience_and_what_cannot_answer_is_never_asked() -> None:
    policy = LivenessPolicy(jitter=0.0)
    silent = guest()
    for moment in range(policy.patience):
        assert pause_s(silent, policy, 0.5) == policy.cycle_s
        silent = probed(silent, Unanswered(float(moment), Silence.NO_REPLY, ""))
    assert pause_s(silent, policy, 0.5) == policy.slow_cycle_s
    assert pause_s(guest(CLOSED), policy, 0.5) is None
    assert pause_s(guest(), replace(policy, cycle_s=0), 0.5) is None


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 160])
@pytest.mark.parametrize("several", [False, True])
def test_columns_fit_and_the_guest_and_its_agent_always_stay(width: int, several: bool) -> None:
    columns = fitting(DEFAULT_KEYS, width, several_hosts=several)
    assert {"name", "agent"} <= {column.key for column in columns}
    if width >= 40:
        assert sum(column.width + 2 for column in columns) <= width


@pytest.mark.parametrize("key", ["cpu", "version", "autostart", "memory", "vcpus"])
@pytest.mark.parametrize("width", [79, 99, 119])
def test_a_column_that_a_user_adds_is_shown_before_those_that_are_there_anyway(key: str, width: int) -> None:
    columns = fitting((*DEFAULT_KEYS, key), width, several_hosts=False)
    assert columns[-1].key == key
    assert sum(column.width + 2 for column in columns) <= width


def test_a_guest_with_blocked_commands_carries_a_sign_in_every_width() -> None:
    blocked = replace(guest(), agent_facts=AgentFacts(version="9", blocked=frozenset({"guest-exec"})))
    assert cell(blocked, ALL["name"], 0.0).startswith("⊘ ")
    assert not cell(guest(), ALL["name"], 0.0).startswith("⊘ ")


def test_ages_and_pings_read_like_a_persons() -> None:
    assert [age(s) for s in (0, 59.9, 60, 3599, 3600, 86_400, 86_400 * 400)] == [
        "0s",
        "59s",
        "1m",
        "59m",
        "1h",
        "1d",
        "1y",
    ]
    assert [ping(ms) for ms in (None, 0.84, 12.3, 1300)] == ["", "0.8 ms", "12 ms", "1.3 s"]


def test_nothing_is_claimed_of_a_guest_whose_host_is_lost() -> None:
    seen = probed(first_seen("h", OPEN), Answered(1.0, 2.0, frozen=False))
    lost = out_of_sight(seen, 9.0)
    assert (lost.agent.state, lost.facts.power, lost.agent.since) == (AgentState.UNKNOWN, PowerState.UNKNOWN, 9.0)
    assert "responding" in lost.agent.reason
    back = facts_read(lost, OPEN, asked_at=20.0, now=20.0)
    assert (back.agent.state, back.agent.since) == (AgentState.CONNECTED, None)
    assert probed(back, Answered(21.0, 2.0, frozen=False)).agent.since is None
