"""How long to wait is the first advice on a guest whose port nothing has open, and when it never is."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.tui import sample
from tests.unit.test_doctor import CLOSED, NOW, OPENED, SHUT, STARTED, facts, seen
from tui.doctor.booting import BOOTING_S, booting_left_s
from tui.doctor.facts import HostLook, Patient
from tui.doctor.fixes import OurFix
from tui.doctor.remedies import remedies
from tui.doctor.verdict import examination_of
from tui.fleet.details import known_sections
from tui.model.guest import REBOOTED, RESTORED, AgentState, DomainFacts, Happening, HappeningKind
from tui.widgets.guest_text import guest_lines

LATE = BOOTING_S + 1
RESTORED_DOMAIN = replace(CLOSED, power_reason=RESTORED)
STYLES = dict.fromkeys(("warning", "error", "success", "muted", "primary"), "")


def rebooted(ago: float, *lines: tuple[float, HappeningKind]) -> Patient:
    earlier = seen(*lines)
    return replace(earlier, timeline=(*earlier.timeline, Happening(NOW - ago, REBOOTED, STARTED)))


@pytest.mark.parametrize(
    ("patient", "process_ago", "domain", "waits"),
    [
        (seen((9, STARTED)), None, CLOSED, True),
        (seen((LATE, STARTED)), None, CLOSED, False),
        (seen(), None, CLOSED, False),
        (seen(), 9, CLOSED, True),
        (seen(), LATE, CLOSED, False),
        (seen((5, SHUT)), 9, CLOSED, False),
        (seen((9, STARTED), (7, OPENED), (5, SHUT)), 9, CLOSED, False),
        (seen((20, OPENED), (12, SHUT), (9, STARTED)), 9, CLOSED, True),
        (rebooted(9, (LATE, OPENED), (20, SHUT)), LATE, CLOSED, True),
        (seen((9, STARTED)), 9, RESTORED_DOMAIN, False),
        (rebooted(9, (LATE, STARTED)), LATE, RESTORED_DOMAIN, True),
    ],
)
def test_the_first_advice_is_to_wait_only_where_the_start_was_seen_lately_and_no_agent_since(
    patient: Patient, process_ago: float | None, domain: DomainFacts, waits: bool
) -> None:
    host = HostLook(started_at=None if process_ago is None else NOW - process_ago)
    look = examination_of(facts(domain=domain, agent=None, patient=patient, host=host))
    first = remedies(look)[0]
    assert not isinstance(first, OurFix)
    assert (first.title == "Wait first: it may still be booting") is waits
    assert any("nstall the agent" in fix.title or "tart its service" in fix.title for fix in remedies(look))


def test_a_rebooted_guest_whose_agent_was_asked_before_is_waited_for_too() -> None:
    host = HostLook(started_at=NOW - LATE)
    asked = {"domain": CLOSED, "agent": None, "host": host, "warnings": ("tainted: custom guest agent control",)}
    assert "Wait" in remedies(examination_of(facts(**asked, patient=rebooted(9))))[0].title
    assert "Wait" not in remedies(examination_of(facts(**asked, patient=seen())))[0].title
    young = {**asked, "host": HostLook(started_at=NOW - 9)}
    assert "Wait" not in remedies(examination_of(facts(**young)))[0].title


@pytest.mark.parametrize(("ago", "waits"), [(9.0, True), (LATE, False), (None, False)])
def test_the_list_and_the_details_say_to_wait_as_long_as_the_doctor_does(ago: float | None, waits: bool) -> None:
    now = time.time()
    lines = () if ago is None else (Happening(now - ago, "started", STARTED),)
    guest = replace(sample.guest("web1", AgentState.DISCONNECTED), timeline=lines)
    assert (booting_left_s(guest, now) > 0) is waits
    words = guest_lines(guest, None, STYLES)[1].plain
    details = "\n".join(line for section in known_sections(guest) for line in section.lines)
    for told in (words, details):
        assert ("Wait: it may still be booting. If it stays so, install or start its agent." in told) is waits
        assert ("Install the agent in the guest" in told) is not waits


def test_a_guest_that_was_just_started_and_answers_is_not_said_to_boot() -> None:
    booted = Happening(time.time(), "started", STARTED)
    guest = replace(sample.guest("web1", AgentState.RESPONDING), timeline=(booted,))
    assert "booting" not in guest_lines(guest, None, STYLES)[1].plain
