"""What `qga-tui exec` hears from hypervisors about the guests in which its commands run."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.fake_host import FakeHost
from tests.unit.test_fleet import OPEN
from tests.unit.test_watch import until
from tui.cli.standings import Standings
from tui.model.events import DomainChanged
from tui.model.guest import PowerState

OFF = replace(OPEN, power=PowerState.OFF, power_reason="forced off")
PAUSED = replace(OPEN, power=PowerState.PAUSED, power_reason="paused by a user")
OVER = "the guest is off (forced off)"


async def test_a_command_is_over_with_its_guest_and_waits_while_it_is_paused() -> None:
    host, told = FakeHost("kvm7", OPEN), list[tuple[str, str]]()
    standings = Standings([(host.as_host, OPEN)], lambda name, words: told.append((name, words)))
    async with standings.followed():
        with standings.during(host.as_host, OPEN) as standing:
            await until(lambda: host.lists_asked == 1)
            for facts, is_paused in ((PAUSED, True), (OPEN, False)):
                host.domains = {facts.uuid: facts}
                host.happen(DomainChanged("kvm7", facts.uuid, "changed", 0.0))
                await until(lambda: standing.is_paused is is_paused)  # noqa: B023
            assert standing.end == ""
            host.domains = {OFF.uuid: OFF}
            host.happen(DomainChanged("kvm7", OFF.uuid, "stopped", 0.0))
            await until(lambda: bool(standing.end))
            assert (standing.end, standing.may_run_on) == (OVER, False)
    assert [words.split(" (")[0].split(":")[0] for _, words in told] == [
        "The guest is paused",
        "The guest goes on, and the command with it.",
        "The guest is off",
    ]
    assert {name for name, _ in told} == {OPEN.name}


async def test_what_becomes_of_a_guest_before_and_after_its_command_is_not_told() -> None:
    host, told = FakeHost("kvm7", OPEN), list[str]()
    standings = Standings([(host.as_host, OPEN)], lambda name, words: told.append(words))
    async with standings.followed():
        with standings.during(host.as_host, OPEN) as standing:
            await until(lambda: host.lists_asked == 1)
        host.domains = {OFF.uuid: OFF}
        host.happen(DomainChanged("kvm7", OFF.uuid, "stopped", 0.0))
        await until(lambda: bool(standing.end))
    assert told == []


async def test_a_guest_is_not_called_gone_before_its_own_host_has_listed_its_guests() -> None:
    quick, slow = FakeHost("kvm7", OPEN), FakeHost("kvm8", OPEN)
    slow.list_may_answer.clear()
    standings = Standings([(quick.as_host, OPEN), (slow.as_host, OPEN)], lambda name, words: None)
    async with standings.followed():
        with standings.during(quick.as_host, OPEN) as near, standings.during(slow.as_host, OPEN) as far:
            quick.domains = {OFF.uuid: OFF}
            await until(lambda: bool(near.end))
            assert far.end == ""
