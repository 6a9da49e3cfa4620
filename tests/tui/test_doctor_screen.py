"""The doctor's screens: verdict, fixes and evidence readable in the sizes people use, and what the keys do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Label, OptionList, Static

from tests.tui import sample
from tests.unit.fake_placed_host import FakePlacedHost
from tests.unit.test_doctor import BARE, CLOSED, WELL, facts, silent, without
from tui import settings
from tui.agent import errors
from tui.app import QgaTui
from tui.doctor.causes import Cause
from tui.doctor.facts import Late, Patient
from tui.doctor.fixes import FixKind, OurFix
from tui.doctor.systems import Family, System
from tui.doctor.verdict import Examination, examination_of
from tui.hosts.libvirt_host import LibvirtHost
from tui.model.guest import AgentState, Guest, GuestId, Happening, HappeningKind
from tui.screens.doctor import DoctorScreen
from tui.screens.doctor_details import EvidenceScreen, FixScreen
from tui.screens.doctor_rounds import RoundsScreen

SnapCompare = Callable[..., bool]
LATER = 10_000_000_000.0


def nobody(_uuid: str) -> str:
    return ""


def screen_for(guest: Guest) -> DoctorScreen:
    """A doctor's screen whose guest is not in the fleet: it shows what it is given."""
    return DoctorScreen(LibvirtHost("test:///default", "kvm7"), guest, nobody)


@asynccontextmanager
async def doctor_at(
    shown: Examination, name: str = "web1", *, read_only: bool = False
) -> AsyncIterator[tuple[Pilot[None], DoctorScreen]]:
    """The running program with the doctor open at a guest of that name, who shows an examination."""
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        host, guest = LibvirtHost("test:///default", "kvm7"), sample.guest(name, AgentState.UNKNOWN)
        screen = DoctorScreen(host, guest, nobody, read_only=read_only)
        await app.push_screen(screen)
        screen.show(shown)
        await pilot.pause()
        yield pilot, screen


def example(name: str) -> Examination:
    booted = Patient("kvm7", "u1", "web1", (Happening(LATER - 9, "started", HappeningKind.STARTED),))
    debian = System(Family.DEBIAN, "the agent says Debian GNU/Linux 12 (bookworm)", "12")
    shown = {
        "never-opened": facts(at=LATER, domain=CLOSED, agent=None, patient=booted, system=debian),
        "no-channel": facts(at=LATER, live=BARE, stored=BARE, agent=None),
        "silent": facts(at=LATER, agent=silent(errors.UnansweredError("no", original="Guest agent not available"))),
        "waiting": facts(at=LATER, agent=silent(Late(7.0))),
        "blocked": facts(at=LATER, agent=without("guest-exec", "guest-exec-status", blocked=True), system=debian),
        "healthy": facts(at=LATER, agent=WELL, system=debian),
    }
    return examination_of(shown[name])


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50)])
@pytest.mark.parametrize("name", ["never-opened", "no-channel", "silent", "waiting", "blocked", "healthy"])
def test_the_verdict_comes_first_then_what_mends_it_then_the_evidence(
    snap_compare: SnapCompare, size: tuple[int, int], name: str
) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        screen = screen_for(sample.guest("web1", AgentState.DISCONNECTED))
        await pilot.app.push_screen(screen)
        screen.show(example(name))
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=show)


def test_a_fix_is_shown_with_what_changes_before_it_is_done(snap_compare: SnapCompare) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        screen = screen_for(sample.guest("web1", AgentState.NO_CHANNEL))
        await pilot.app.push_screen(screen)
        screen.show(example("no-channel"))
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=show)


async def test_enter_leaves_all_as_it_is_and_a_command_is_copied_with_one_key() -> None:
    async with doctor_at(example("no-channel")) as (pilot, screen):
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, FixScreen)
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen_stack[-1] is screen
        screen.show(example("blocked"))
        await pilot.pause()
        await pilot.press("enter", "j", "k", "c")
        assert pilot.app.clipboard.startswith("grep -s -n")
        assert said(pilot, f"Copied {len(pilot.app.clipboard)} characters by the terminal (OSC 52)")


async def test_the_evidence_of_a_check_has_the_original_words_inert() -> None:
    hostile = "Guest agent [red]not[/] \x1b[2Javailable"
    shown = examination_of(facts(agent=silent(errors.UnansweredError("no", original=hostile))))
    async with doctor_at(shown) as (pilot, screen):
        lines = screen.query_one(OptionList)
        lines.highlighted = lines.get_option_index("check:answer")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, EvidenceScreen)
        drawn = "".join(str(each.render()) for each in pilot.app.screen.query(Static))
        assert "Guest agent [red]not[/] \ufffd[2Javailable" in drawn


async def test_the_cursor_stays_on_its_line_while_the_same_is_said_and_goes_to_the_first_fix_on_news() -> None:
    async with doctor_at(example("no-channel")) as (_pilot, screen):
        lines = screen.query_one(OptionList)
        lines.highlighted = lines.get_option_index("check:power")
        screen.show(example("no-channel"))
        assert lines.highlighted_option is not None
        assert lines.highlighted_option.id == "check:power"
        screen.show(example("blocked"))
        assert lines.highlighted_option.id is not None
        assert lines.highlighted_option.id.startswith("fix:")


async def test_a_report_is_written_for_its_owner_alone_and_copied() -> None:
    async with doctor_at(example("silent"), "../we b1") as (pilot, _screen):
        await pilot.press("m")
        assert pilot.app.clipboard.startswith("## Guest agent of")
        assert said(pilot, f"Copied {len(pilot.app.clipboard):,} characters by the terminal (OSC 52)")
        await pilot.press("w")
        await pilot.pause()
    (report,) = (settings.state_folder() / "reports").iterdir()
    assert report.read_text().startswith("## Guest agent of")
    assert report.stat().st_mode & 0o777 == 0o600
    assert abs(report.stat().st_mtime - time.time()) < 3600


def said(pilot: Pilot[None], words: str) -> bool:
    """Whether a notice says so."""
    return any(words in notice.message for notice in pilot.app._notifications)


def said_of(app: QgaTui) -> Cause | None:
    """The cause on the doctor's screen, None while it is not open or still looks."""
    screens = [screen for screen in app.screen_stack if isinstance(screen, DoctorScreen)]
    examination = screens[-1].examination if screens else None
    return None if examination is None else examination.verdict.cause


async def test_the_rounds_tell_every_guest_and_lead_to_the_doctor() -> None:
    """On libvirt's own test driver: a real host of one domain, which has no agent channel."""
    app = QgaTui((LibvirtHost("test:///default", "test"),))
    async with app.run_test(size=(80, 24)) as pilot:
        async with asyncio.timeout(20):
            while not app.fleet.guests:
                await pilot.pause(0.02)
            await pilot.press("V")
            while not isinstance(app.screen, RoundsScreen) or app.screen.query_one(DataTable).row_count != 1:
                await pilot.pause(0.02)
            row = [cell.plain for cell in app.screen.query_one(DataTable).get_row_at(0)]
            assert row[:2] == ["no-channel-no-controller", "test"]
            await pilot.press("enter")
            while said_of(app) is None:
                await pilot.pause(0.02)
        assert said_of(app) is Cause.NO_CONTROLLER


async def test_media_are_looked_for_on_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their usual places may lie on a file server that does not answer."""
    asked: list[threading.Thread] = []

    def fake_find_media() -> tuple[str, ...]:
        asked.append(threading.current_thread())
        return ()

    monkeypatch.setattr("tui.screens.doctor.find_media", fake_find_media)
    async with doctor_at(example("healthy")) as (pilot, screen):
        screen._host = FakePlacedHost("qemu:///system").as_host
        screen._propose(OurFix(FixKind.INSERT_DRIVERS, "Insert the drivers", (), (), needs_medium=True))
        async with asyncio.timeout(20):
            while not isinstance(pilot.app.screen, FixScreen):
                await pilot.pause(0.02)
    assert len(asked) == 1
    assert threading.main_thread() not in asked


async def test_nothing_is_changed_in_read_only_mode() -> None:
    async with doctor_at(example("no-channel"), read_only=True) as (pilot, screen):
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen_stack[-1] is screen


def verdict_on(name: str, **more: object) -> Examination:
    """One of the rounds' examinations."""
    return examination_of(facts(patient=Patient("kvm7", name, name), **more))


@asynccontextmanager
async def rounds_with(*examinations: Examination) -> AsyncIterator[tuple[Pilot[None], RoundsScreen]]:
    """The rounds, of which nothing is told but what is given to `tell`."""
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        screen = RoundsScreen({}, sample.fleet(), nobody, ())
        await app.push_screen(screen)
        await pilot.pause()
        tell(screen, *examinations)
        await pilot.pause()
        yield pilot, screen


def tell(screen: RoundsScreen, *examinations: Examination) -> None:
    """Have the rounds know these too."""
    for each in examinations:
        screen._examinations[GuestId("kvm7", each.facts.patient.name)] = each
    screen._draw(time.monotonic(), len(screen._examinations))


def name_under_cursor(screen: RoundsScreen) -> str:
    table = screen.query_one(DataTable)
    return str(table.get_row_at(table.cursor_row)[1].plain)


async def test_the_cursor_of_the_rounds_stays_with_the_worst_until_it_is_moved_and_then_on_its_guest() -> None:
    well, sick = verdict_on("well"), verdict_on("sick", live=BARE, stored=BARE, agent=None)
    worse = verdict_on("worse", agent=silent(errors.UnansweredError("no")))
    worst = verdict_on("worst", agent=replace(WELL, frozen=True))
    async with rounds_with(well) as (pilot, screen):
        assert name_under_cursor(screen) == "well"
        tell(screen, sick)
        await pilot.pause()
        assert name_under_cursor(screen) == "sick", "the first one known is not the worst"
        await pilot.press("down")
        assert name_under_cursor(screen) == "well"
        tell(screen, worse)
        await pilot.pause()
        assert name_under_cursor(screen) == "well", "the user chose it"
        await pilot.press("up", "up")
        tell(screen, worst)
        await pilot.pause()
        assert name_under_cursor(screen) == "worse"


async def test_the_rounds_count_no_guest_under_a_backup_as_a_finding_and_a_refined_verdict_once() -> None:
    held = examination_of(facts(agent=None, patient=Patient("kvm7", "held", "held", held="A backup is at work")))
    async with rounds_with(held, verdict_on("g1", agent=silent(Late(7.0)))) as (pilot, screen):
        title = screen.query_one("#title", Static)
        assert str(title.render()).startswith("Verdicts on 2 of 2 guests, 1 with findings")
        tell(screen, verdict_on("g1", agent=silent(errors.AgentBusyError("no"))))
        await pilot.pause()
        assert str(title.render()).startswith("Verdicts on 2 of 2 guests, 1 with findings")
        assert screen.query_one(DataTable).row_count == 2
        assert name_under_cursor(screen) == "g1"


async def test_media_of_another_machine_are_not_looked_for_on_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def fake_find_media() -> tuple[str, ...]:
        asked.append(True)
        return ("/here/virtio-win.iso",)

    monkeypatch.setattr("tui.screens.doctor.find_media", fake_find_media)
    fix = OurFix(FixKind.INSERT_DRIVERS, "Insert the drivers", (), (), needs_medium=True)
    for host, found in (
        (FakePlacedHost("qemu:///system"), "found on this machine"),
        (FakePlacedHost("qemu+ssh://kvm7/system", "the images are on another machine, kvm7"), "another machine"),
    ):
        app = QgaTui(())
        async with app.run_test(size=(80, 24)) as pilot:
            screen = DoctorScreen(host.as_host, sample.guest("web1", AgentState.UNKNOWN), nobody)
            await app.push_screen(screen)
            screen._propose(fix)
            async with asyncio.timeout(20):
                while not isinstance(app.screen, FixScreen):
                    await pilot.pause(0.02)
            await pilot.pause()
            assert found in str(app.screen.query_one(Label).render())
            assert app.screen.query_one(Input).value == ("" if "ssh" in host.uri else "/here/virtio-win.iso")
    assert asked == [True]
