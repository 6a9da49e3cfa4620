"""Whatever a guest or libvirt says, no control of theirs reaches the terminal: looked at in the bytes themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from textual.drivers import headless_driver
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from tests.tui.fake_hostile_host import FakeHostileHost
from tests.tui.hostile import (
    ENDLESS,
    HOSTILE,
    LEAKED,
    TOKEN,
    CapturingDriver,
    a_full_guest,
    full_examinations,
    with_hostile_texts,
)
from tui.app import QgaTui
from tui.doctor.facts import Facts
from tui.doctor.fixes import OurFix
from tui.doctor.remedies import remedies
from tui.doctor.verdict import examination_of
from tui.fleet.columns import ALL
from tui.fleet.fleet import Fleet, HostStatus, Link
from tui.fleet.power import PowerAct
from tui.fleet.view import ListView
from tui.model.guest import AgentState, Guest, GuestId
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.details import DetailsScreen
from tui.screens.doctor import DoctorScreen
from tui.screens.doctor_details import EvidenceScreen, FixScreen
from tui.screens.doctor_rounds import RoundsScreen
from tui.screens.guests import GuestsScreen
from tui.screens.power import PowerScreen, consequence, question
from tui.widgets.examination_text import details_text
from tui.widgets.tones import styles_of

FEW = settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@contextmanager
def captured() -> Iterator[None]:
    """A program that is started in the body writes to a terminal that keeps it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headless_driver, "HeadlessDriver", CapturingDriver)
        yield


class Looker:
    """Opens screens and sees that what is drawn has the hostile text in it, and nothing that steers a terminal."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self._pilot = pilot

    async def look(self) -> None:
        """Have everything drawn anew, and read it."""
        await self._pilot.pause()
        CapturingDriver.written.clear()
        self._pilot.app.refresh(layout=True)
        await self._pilot.pause()
        written = "".join(CapturingDriver.written)
        assert TOKEN in written, self._pilot.app.screen
        assert not LEAKED.search(written), self._pilot.app.screen

    async def look_at(self, screen: Screen[Any]) -> None:
        """Open a screen, look, and close it."""
        await self._pilot.app.push_screen(screen)
        await self.look()
        screen.dismiss()
        await self._pilot.pause()


def a_hostile_fleet(text: str, *, link: Link = Link.LOST) -> Fleet:
    """Two guests on a host, all of whose fields have the text."""
    responding = with_hostile_texts(a_full_guest(), text)
    other = with_hostile_texts(a_full_guest(AgentState.UNRESPONSIVE), text)
    other = dataclasses.replace(other, id=GuestId(responding.id.host, "another"))
    host = with_hostile_texts(HostStatus("kvm7", "qemu:///system", link, "why", 1.0), text)
    host = dataclasses.replace(host, name=responding.id.host)
    return Fleet((host,), MappingProxyType({each.id: each for each in (responding, other)}))


def guests_of(fleet: Fleet) -> tuple[Guest, ...]:
    return tuple(fleet.guests.values())


async def look_at_the_fleet(text: str) -> None:
    app, fleet = QgaTui(()), a_hostile_fleet(text)
    first, *_ = guests = guests_of(fleet)
    async with app.run_test(size=(200, 40)) as pilot:
        looker, screen = Looker(pilot), app.screen
        assert isinstance(screen, GuestsScreen)
        screen.view = ListView(columns=tuple(ALL), filter="")
        app.fleet = fleet
        await looker.look()
        screen.view = ListView(filter=f"no such {TOKEN}")
        await looker.look()
        screen.view = ListView()
        host = FakeHostileHost(first.id.host, text)
        known = a_hostile_fleet(text, link=Link.CONNECTED)
        await looker.look_at(DetailsScreen(host, first, known, app.backups))
        assert {"live_xml", "block_sizes", "guest-get-fsinfo", "guest-get-timezone"} <= set(host.asked)
        await looker.look_at(PowerScreen(guests))
        for act, whom in ((PowerAct.SHUT_DOWN, (first,)), (PowerAct.REBOOT, guests)):
            words = question(act, whom), consequence(act, whom)
            await looker.look_at(ConfirmScreen(*words, yes=printable(TOKEN), no=printable("no")))
        app.action_command_palette()
        await pilot.pause()
        app.screen.query_one(Input).value = f"go to {TOKEN}"
        await pilot.pause(0.5)
        await looker.look()


async def look_at_the_doctor(text: str, *gathered: Facts) -> None:
    app, fleet = QgaTui(()), a_hostile_fleet(text)
    first, *_ = guests_of(fleet)
    silent = FakeHostileHost(first.id.host, text)
    async with app.run_test(size=(120, 40)) as pilot:
        looker, styles = Looker(pilot), styles_of(app.theme_variables)
        for facts in gathered:
            examination = examination_of(with_hostile_texts(facts, text))
            screen = DoctorScreen(silent, dataclasses.replace(first, id=GuestId("kvm7", "not there")), lambda _: text)
            await app.push_screen(screen)
            await pilot.pause()
            screen.show(examination)
            await looker.look()
            for finding in examination.findings:
                if TOKEN in finding.ruling.found + finding.ruling.original:
                    await looker.look_at(EvidenceScreen(details_text(finding, styles)))
            for fix in remedies(examination):
                if isinstance(fix, OurFix):
                    await looker.look_at(FixScreen(fix, printable(text, 40), (text,)))
            screen.dismiss()
        await looker.look_at(RoundsScreen({first.id.host: silent}, fleet, lambda _: text, (first.id,)))


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@FEW
@given(text=HOSTILE)
async def test_no_control_of_a_guest_or_of_libvirt_reaches_the_terminal_by_the_list_and_what_it_opens(
    text: str,
) -> None:
    with captured():
        await look_at_the_fleet(text)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@FEW
@given(text=HOSTILE, facts=st.sampled_from(full_examinations()))
async def test_no_control_of_a_guest_or_of_libvirt_reaches_the_terminal_by_the_doctor(text: str, facts: Facts) -> None:
    with captured():
        await look_at_the_doctor(text, facts)


async def test_ten_thousand_characters_full_of_controls_are_shown_cut_and_inert() -> None:
    with captured():
        await look_at_the_fleet(ENDLESS)
        await look_at_the_doctor(ENDLESS, *full_examinations()[:1])
