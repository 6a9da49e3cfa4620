"""What is said of a power act is what the host shows afterwards, with the way that was taken."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from tests.unit.test_fleet import OFF, OPEN, guest
from tui.agent import commands
from tui.agent.errors import CommandUnavailableError, NotConnectedError, UnansweredError
from tui.fleet.fleet import probed
from tui.fleet.power import PowerAct, carry_out
from tui.hosts.port import Host, HostError, HostUnreachableError, NoSuchDomainError, PowerWay
from tui.model.guest import DomainFacts, PowerState
from tui.model.probe import Answered

PAUSED = replace(OPEN, power=PowerState.PAUSED, power_reason="paused by a user")
CRASHED = replace(OFF, power_reason="failed to start")


class FakePoweredHost:
    """Stands for a host whose calls all return and that then shows `after`: a real one seldom disagrees with itself."""

    def __init__(self, after: DomainFacts | None, agent_trouble: HostError | None = None) -> None:
        self._after = after
        self._agent_trouble = agent_trouble
        self.ways: list[PowerWay] = []

    async def _do(self, _uuid: str) -> None:
        """Return."""

    start = suspend = resume = force_off = _do

    async def shut_down(self, _uuid: str, way: PowerWay) -> None:
        """Take note of the way; the agent may have its trouble."""
        self.ways.append(way)
        if way is PowerWay.AGENT and self._agent_trouble is not None:
            raise self._agent_trouble

    reboot = shut_down

    async def read_domain(self, _uuid: str) -> DomainFacts:
        """What is shown afterwards."""
        if self._after is None:
            raise NoSuchDomainError("There is no such guest on this host")
        return self._after


@pytest.mark.parametrize(
    ("act", "shown", "not_shown", "said"),
    [
        (PowerAct.START, OPEN, CRASHED, "web1 was started"),
        (PowerAct.SUSPEND, PAUSED, OPEN, "web1 was suspended"),
        (PowerAct.RESUME, OPEN, PAUSED, "web1 was resumed"),
        (PowerAct.FORCE_OFF, OFF, OPEN, "web1 was forced off"),
        (PowerAct.FORCE_OFF, None, OPEN, "web1 was forced off"),
    ],
)
async def test_a_success_is_what_the_host_shows(
    act: PowerAct, shown: DomainFacts | None, not_shown: DomainFacts, said: str
) -> None:
    assert await carry_out(cast("Host", FakePoweredHost(shown)), guest(), act) == said
    with pytest.raises(HostError) as caught:
        await carry_out(cast("Host", FakePoweredHost(not_shown)), guest(), act)
    assert f"web1 is {not_shown.power} ({not_shown.power_reason})" in caught.value.title


@pytest.mark.parametrize("act", [PowerAct.SHUT_DOWN, PowerAct.REBOOT])
async def test_an_agent_that_does_not_do_it_is_followed_by_the_power_button_and_named(act: PowerAct) -> None:
    answering = probed(guest(), Answered(1.0, 0.8, frozen=False))
    well, hung = FakePoweredHost(OPEN), FakePoweredHost(OPEN, HostError("The guest agent did not answer"))
    assert await carry_out(cast("Host", well), answering, act) == f"web1 was asked to {act} (agent)"
    said = await carry_out(cast("Host", hung), answering, act)
    assert said == f"web1 was asked to {act} (ACPI power button; not by its agent: The guest agent did not answer)"
    assert hung.ways == [PowerWay.AGENT, PowerWay.ACPI]
    lost = FakePoweredHost(OPEN, HostUnreachableError("The connection to libvirt was lost"))
    with pytest.raises(HostUnreachableError):
        await carry_out(cast("Host", lost), answering, act)
    assert lost.ways == [PowerWay.AGENT]


class FakeEndingLine:
    """Stands for an agent that answers the ping and then raises `trouble`: no guest ends at a chosen word."""

    def __init__(self, trouble: Exception, at: str) -> None:
        self._trouble = trouble
        self._at = at
        self.sent: list[str] = []

    async def send(self, request: str, _timeout_s: int) -> str:
        """Answer, or raise."""
        self.sent.append(request)
        if self._at in request:
            raise self._trouble
        return '{"return": {}}'


@pytest.mark.parametrize("end", [UnansweredError("no answer"), NotConnectedError("it went away")])
async def test_an_agent_that_answered_the_ping_and_then_falls_silent_has_obeyed(end: Exception) -> None:
    line = FakeEndingLine(end, "guest-shutdown")
    await commands.shutdown(line, commands.ShutdownMode.REBOOT)
    assert '"mode": "reboot"' in line.sent[-1]


@pytest.mark.parametrize(
    ("trouble", "at"),
    [(CommandUnavailableError("blocked"), "guest-shutdown"), (UnansweredError("no answer"), "guest-ping")],
)
async def test_an_agent_that_refuses_or_is_silent_before_was_not_asked(trouble: Exception, at: str) -> None:
    with pytest.raises(type(trouble)):
        await commands.shutdown(FakeEndingLine(trouble, at), commands.ShutdownMode.POWERDOWN)
