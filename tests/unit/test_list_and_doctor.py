"""The list's advice on a guest is that of the doctor, or holds for each cause that the list cannot tell apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui import sample
from tests.unit.test_doctor import BARE, BARER, CLOSED, NOW, OPENED, SHUT, STARTED, facts, silent
from tui.agent import errors
from tui.doctor.causes import CAUSES, Cause
from tui.doctor.facts import Patient
from tui.doctor.reasons import ATTACH, mend, next_step
from tui.doctor.verdict import examination_of
from tui.model.guest import AgentState, Guest, Happening, HappeningKind, PowerState
from tui.model.probe import Silence, Unanswered


def row(state: AgentState, *lines: HappeningKind) -> Guest:
    happened = tuple(Happening(NOW - 600 + place, str(kind), kind) for place, kind in enumerate(lines))
    return replace(sample.guest("web1", state), timeline=happened)


@pytest.mark.parametrize(
    "lines", [(), (STARTED,), (STARTED, OPENED, SHUT), (OPENED, SHUT), (SHUT,), (OPENED, SHUT, STARTED)]
)
def test_of_a_closed_port_both_say_what_was_seen_of_it(lines: tuple[HappeningKind, ...]) -> None:
    guest = row(AgentState.DISCONNECTED, *lines)
    patient = Patient("kvm7", "u1", "web1", guest.timeline)
    verdict = examination_of(facts(domain=CLOSED, agent=None, patient=patient)).verdict
    assert next_step(guest) == mend(verdict.cause)


@pytest.mark.parametrize("live", [BARE, BARER])
def test_of_a_guest_without_channel_the_list_says_nothing_that_the_doctor_denies(live: object) -> None:
    cause = examination_of(facts(live=live, stored=live, agent=None)).verdict.cause
    step = next_step(row(AgentState.NO_CHANNEL))
    assert step == ATTACH
    assert cause in (Cause.NO_CHANNEL, Cause.NO_CONTROLLER)
    assert "live where the guest has a virtio-serial controller" in step
    assert "power cycle" in step


@pytest.mark.parametrize(
    ("silence", "error"),
    [
        (Silence.NO_REPLY, errors.UnansweredError("no")),
        (Silence.LINK_BROKEN, errors.LinkBrokenError("no")),
        (Silence.NOT_ALLOWED, errors.AccessDeniedError("no")),
        (Silence.BUSY, errors.AgentBusyError("no")),
    ],
)
def test_of_an_unanswered_ping_both_say_the_same(silence: Silence, error: errors.AgentError) -> None:
    is_unsure = silence in (Silence.NOT_ALLOWED, Silence.BUSY)
    state = AgentState.CONNECTED if is_unsure else AgentState.UNRESPONSIVE
    guest = replace(row(state), probe=Unanswered(NOW, silence, "86"))
    assert next_step(guest) == mend(examination_of(facts(agent=silent(error))).verdict.cause)


def test_of_a_kernel_that_crashed_the_list_does_not_say_that_it_is_merely_off() -> None:
    guest = row(AgentState.OFF)
    crashed = replace(guest, facts=replace(guest.facts, power_reason="kernel panic"))
    domain = replace(CLOSED, power=PowerState.OFF, power_reason="kernel panic")
    assert next_step(crashed) == mend(examination_of(facts(domain=domain, agent=None)).verdict.cause)
    assert next_step(crashed) != next_step(guest) == mend(Cause.OFF)


def test_the_other_states_have_the_doctors_words_without_markup_and_a_healthy_one_none() -> None:
    assert next_step(row(AgentState.FROZEN)) == CAUSES[Cause.FROZEN].mends.replace("`", "")
    assert next_step(row(AgentState.RESPONDING)) == next_step(row(AgentState.CONNECTED)) == ""
    assert all("`" not in next_step(row(state)) for state in AgentState)
