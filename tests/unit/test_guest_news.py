"""What a running command hears of its guest: paused, gone on, off, saved, moved, begun anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui.sample import guest
from tui.console.guest_news import GuestNews, GuestStory, news_of
from tui.fleet.fleet import remembered
from tui.model.guest import AgentState, Guest, HappeningKind, PowerState

RUNNING = guest("web1", AgentState.RESPONDING)
GOES_ON = GuestNews("The guest goes on, and the command with it.")
ANEW = GuestNews("The guest was started anew.", end="the guest was started anew")


def stands(power: PowerState, reason: str, of: Guest = RUNNING) -> Guest:
    return replace(of, facts=replace(of.facts, power=power, power_reason=reason))


def begun_anew(of: Guest = RUNNING, what: str = "rebooted") -> Guest:
    return remembered(of, what, 5.0, HappeningKind.STARTED)


PAUSED = stands(PowerState.PAUSED, "paused by a user")
SAVED = stands(PowerState.OFF, "saved to disk")
OFF = stands(PowerState.OFF, "forced off")


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (RUNNING, replace(RUNNING, cpu_share=0.5), None),
        (
            RUNNING,
            PAUSED,
            GuestNews("The guest is paused (paused by a user): the command waits until it goes on.", is_paused=True),
        ),
        (PAUSED, RUNNING, GOES_ON),
        (
            RUNNING,
            SAVED,
            GuestNews("The guest was saved to disk: the command waits in it until it is restored.", is_paused=True),
        ),
        (SAVED, begun_anew(PAUSED, "started"), None),
        (SAVED, begun_anew(stands(PowerState.RUNNING, "restored"), "started"), GOES_ON),
        (SAVED, begun_anew(RUNNING, "started"), ANEW),
        (RUNNING, OFF, GuestNews("The guest is off (forced off).", end="the guest is off (forced off)")),
        (OFF, OFF, None),
        (RUNNING, begun_anew(), ANEW),
        (begun_anew(), begun_anew(), None),
        (stands(PowerState.RUNNING, "restored"), begun_anew(stands(PowerState.RUNNING, "restored")), ANEW),
        (
            PAUSED,
            stands(PowerState.OFF, "migrated away"),
            GuestNews("The guest was migrated away.", end="the guest was migrated away", may_run_on=True),
        ),
        (
            RUNNING,
            None,
            GuestNews("The guest is gone from its host.", end="the guest is gone from its host", may_run_on=True),
        ),
    ],
)
def test_what_happened_between_two_moments(before: Guest, now: Guest | None, news: GuestNews | None) -> None:
    assert news_of(before, now) == news


def test_a_run_is_told_of_what_happens_to_its_guest_and_of_nothing_before() -> None:
    story = GuestStory()
    assert story.take(PAUSED) == ""
    standing = story.begin_run()
    waits = []
    for each in (RUNNING, PAUSED, RUNNING):
        assert story.take(each) != ""
        waits.append(standing.is_paused)
    assert waits == [False, True, False]
    story.take(OFF)
    assert standing.end == "the guest is off (forced off)"
    assert story.begin_run().end == ""


def test_an_end_is_for_good_whatever_comes_after_it() -> None:
    story = GuestStory()
    story.take(RUNNING)
    standing = story.begin_run()
    story.take(OFF)
    story.take(begun_anew())
    assert standing.end == "the guest is off (forced off)"


def test_what_is_not_settled_yet_is_waited_for() -> None:
    story = GuestStory()
    story.take(SAVED)
    standing = story.begin_run()
    restored = begun_anew(stands(PowerState.RUNNING, "restored"), "started")
    assert story.take(stands(PowerState.RUNNING, "starting up")) == ""
    assert story.take(stands(PowerState.UNKNOWN, "")) == ""
    assert story.take(restored) == GOES_ON.words
    assert (standing.is_paused, standing.end) == (False, "")
