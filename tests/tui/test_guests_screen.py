"""The guest list: what is drawn, in the sizes people use, and what the keys do."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from tests.tui import sample
from tests.unit.backup_values import a_plan
from tui.app import QgaTui
from tui.backup.runs import create_run, note_worker
from tui.cli.connect import hosts_for
from tui.fleet.fleet import Link
from tui.fleet.kept_view import load_view
from tui.fleet.view import ListView, shown_guests
from tui.model.guest import AgentState
from tui.screens import guests
from tui.screens.details import DetailsScreen
from tui.screens.guests import GuestsScreen
from tui.screens.power import PowerScreen
from tui.widgets.guest_details import GuestDetails
from tui.widgets.guest_rows import GuestRows
from tui.widgets.guest_text import READ_ONLY

SnapCompare = Callable[..., bool]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the program run until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await pilot.pause(0.01)


def text_of(app: QgaTui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30)])
def test_every_state_is_told_by_glyph_and_word(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        app.fleet = sample.every_state()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=show)


@pytest.mark.parametrize("size", [(120, 30), (160, 50)])
def test_wide_terminals_show_the_guest_under_the_cursor_beside_the_list(
    snap_compare: SnapCompare, size: tuple[int, int]
) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        await pilot.pause()
        app.fleet = sample.every_state()
        await until(pilot, lambda: text_of(app, "GuestDetails #title") == "app1  ○ off")

    assert snap_compare(app, terminal_size=size, run_before=show)


def three_domains(folder: Path) -> str:
    """The URI of a test driver whose domains have a disk each."""
    disk = "<devices><disk type='file' device='disk'><source file='/none'/><target dev='vda'/></disk></devices>"
    domains = (
        f"<domain type='test'><name>{name}</name><memory>65536</memory><os><type>hvm</type></os>{disk}</domain>"
        for name in ("a", "b", "c")
    )
    (folder / "node.xml").write_text(f"<node>{''.join(domains)}</node>")
    return f"test://{folder}/node.xml"


def is_beside(app: QgaTui, name: str) -> bool:
    """Whether the details beside the list are those of a guest."""
    return text_of(app, "GuestDetails #title").startswith(f"{name}  ")


async def test_a_guest_that_the_cursor_passes_over_is_drawn_and_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "CURSOR_REST_S", 3600.0)
    hosts = hosts_for((three_domains(tmp_path),))
    app = QgaTui(hosts)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == 3)
        for name in ("b", "c"):
            await pilot.press("j")
            await until(pilot, partial(is_beside, app, name))
        assert "Timeline" in text_of(app, "GuestDetails #sections")
        assert "Disk sizes" not in text_of(app, "GuestDetails #sections")
        assert hosts[0].calls["blockInfo"] == 0


async def test_a_guest_that_the_cursor_rests_on_is_asked_once(tmp_path: Path) -> None:
    hosts = hosts_for((three_domains(tmp_path),))
    app = QgaTui(hosts)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "Time zone" in text_of(app, "GuestDetails #sections"))
        assert "Disk sizes" in text_of(app, "GuestDetails #sections")
        assert hosts[0].calls["blockInfo"] == 1


async def test_what_is_typed_in_one_go_after_the_filters_key_goes_into_the_filter() -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.pause()
        for key in "/web/":
            app.post_message(events.Key("slash" if key == "/" else key, key))
        await until(pilot, lambda: app.screen.query_one("#filter", Input).value == "web/")
        assert isinstance(app.screen, GuestsScreen)
        await pilot.press("backspace")
        await until(pilot, lambda: text_of(app, "#hosts").startswith("1/10 guests match web   "))


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
async def test_titles_stand_over_their_cells(width: int) -> None:
    app = QgaTui(())
    async with app.run_test(size=(width, 24)) as pilot:
        app.fleet = sample.every_state()
        for _ in range(3):
            rows = app.screen.query_one(GuestRows)
            await until(pilot, lambda rows=rows: titles_of(app) == placed(rows))  # type: ignore[misc]
            await pilot.press("w")
            await pilot.resize_terminal(width + 20, 24)


def titles_of(app: QgaTui) -> list[tuple[int, str]]:
    """Where each title begins on its line."""
    return [(found.start(), found[0]) for found in re.finditer("[A-Z]+", text_of(app, "#titles"))]


def placed(rows: GuestRows) -> list[tuple[int, str]]:
    """Where the cells under each title begin, as a row is drawn."""
    drawn = [(segment.text, segment.cell_length) for segment in rows.render_line(0)][1:]
    starts = [1 + sum(cells for _, cells in drawn[:place]) for place in range(0, 2 * len(rows.columns), 2)]
    return [(start, column.title) for start, column in zip(starts, rows.columns, strict=True)]


async def test_details_beside_the_list_are_hidden_by_a_key_and_stay_so_in_the_next_run() -> None:
    for wanted in (True, False):
        app = QgaTui(())
        async with app.run_test(size=(120, 30)) as pilot:
            app.fleet = sample.every_state()
            await pilot.pause()
            details = app.screen.query_one(GuestDetails)
            assert details.display is wanted
            if wanted:
                await pilot.press("w")
                await until(pilot, lambda details=details: not details.display)  # type: ignore[misc]
                assert app.screen.query_one(GuestRows).size.width == 120


@pytest.mark.parametrize("width", [60, 80, 119])
async def test_narrower_terminals_have_the_list_alone(width: int) -> None:
    app = QgaTui(())
    async with app.run_test(size=(width, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.press("w")
        await pilot.pause()
        assert not app.screen.query_one(GuestDetails).display
        assert app.screen.query_one(GuestRows).size.width == width
        assert load_view().beside


async def test_where_a_host_lets_a_user_only_look_the_header_says_so_and_what_changes_is_disabled() -> None:
    looked_at, changed = sample.guest("far", AgentState.CONNECTED, host="kvm8"), sample.guest("by", AgentState.OFF)
    both = sample.fleet(looked_at, changed, hosts=("kvm7", "kvm8"))
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = both.with_host(replace(both.host("kvm8"), read_only=True))
        await pilot.pause()
        assert "kvm7 connected   ● kvm8 connected, read-only" in text_of(app, "#hosts")
        assert app.screen.check_action("power", ()) is True
        await pilot.press("j")
        await pilot.pause()
        assert "libvirt lets you only look here" in text_of(app, "#under-cursor")
        assert app.screen.check_action("power", ()) is None
        assert app.screen.check_action("details", ()) is True
        await pilot.press("p")
        await pilot.pause()
        assert isinstance(app.screen, GuestsScreen)
        await pilot.press("a", "p")
        await until(pilot, lambda: isinstance(app.screen, PowerScreen))
        assert text_of(app, "Static") == "Power of by"
        assert [note.message for note in app._notifications] == ["Left out, their hosts are read-only: far"]


async def test_what_has_no_room_below_the_list_ends_in_an_ellipsis_and_is_whole_where_there_is_room() -> None:
    unread = sample.fleet(sample.guest("far", AgentState.DISCONNECTED))
    app = QgaTui(())
    async with app.run_test(size=(60, 20)) as pilot:
        app.fleet = unread.with_host(replace(unread.host("kvm7"), read_only=True))
        await pilot.pause()
        lines = text_of(app, "#under-cursor").split("\n")
        assert len(lines) == 3
        assert lines[-1].endswith("…")
        await pilot.resize_terminal(160, 24)
        await until(pilot, lambda: text_of(app, "#under-cursor").endswith(READ_ONLY))


def test_a_lost_host_keeps_its_rows_and_says_why(snap_compare: SnapCompare) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        why = "Cannot connect to kvm7: no libvirt daemon listens there. Start the daemon: systemctl start libvirtd."
        lost = replace(sample.fleet(link=Link.LOST).hosts[0], why=why)
        app.fleet = replace(sample.every_state(), hosts=(lost,))
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=show)


async def test_a_guest_may_change_after_a_resize_that_nobody_saw() -> None:
    app = QgaTui(())
    async with app.run_test(size=(160, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.pause()
        await app.push_screen(Screen[None]())
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        first = next(iter(app.fleet.guests.values()))
        app.fleet = app.fleet.with_guests(replace(first, agent=replace(first.agent, state=AgentState.FROZEN)))
        await pilot.pause()
        app.pop_screen()
        await pilot.pause()
        rows = app.screen.query_one(GuestRows)
        assert rows.row([guest.id for guest in shown_guests(app.fleet, ListView())].index(first.id))[2] == "✱ frozen"


async def test_a_changed_guest_changes_its_row_and_the_cursor_stays() -> None:
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = sample.every_state()
        await pilot.pause()
        await pilot.press("j", "j")
        table = app.screen.query_one(GuestRows)
        chosen = table.guest_id
        assert chosen is not None
        app.fleet = app.fleet.with_guests(sample.guest("aaa-first", AgentState.RESPONDING))
        await pilot.pause()
        assert table.guest_id == chosen
        assert table.row_count == 11
        changed = app.fleet.guests[chosen]
        app.fleet = app.fleet.with_guests(replace(changed, agent=replace(changed.agent, state=AgentState.FROZEN)))
        await pilot.pause()
        assert table.row([guest.id for guest in shown_guests(app.fleet, ListView())].index(chosen))[2] == "✱ frozen"


async def test_hostile_names_are_drawn_inert() -> None:
    hostile = "[red]a[/] \x1b]0;owned\x07\x9b2J\u202e" + "x" * 10_000
    app = QgaTui(())
    async with app.run_test(size=(80, 24)) as pilot:
        app.fleet = sample.fleet(sample.guest(hostile, AgentState.RESPONDING))
        await pilot.pause()
        drawn = app.screen.query_one(GuestRows).row(0)[0]
        assert drawn.startswith("[red]a[/] \ufffd]0;owned\ufffd\ufffd2J\ufffdxxx")
        assert drawn.isprintable()


async def test_the_details_of_a_guest_in_backup_ask_neither_it_nor_its_host(tmp_path: Path) -> None:
    hosts = hosts_for((three_domains(tmp_path),))
    app = QgaTui(hosts)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.fleet.guests) == 3)
        guest = app.fleet.guests[min(app.fleet.guests, key=lambda each: app.fleet.guests[each].name)]
        run = create_run(replace(a_plan(target=str(tmp_path)), uuid=guest.id.uuid, guest=guest.name))
        note_worker(run, os.getpid())
        await until(pilot, lambda: guest.id.uuid in app.backups)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen))
        await pilot.press("r")
        await until(pilot, lambda: "Not asked for more: a backup is at work on it" in text_of(app, "#sections"))
        assert hosts[0].calls["blockInfo"] == 0


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_lost_hosts_say_why_beside_the_guests_of_others_and_cut_no_count_away(size: tuple[int, int]) -> None:
    why = "Cannot connect to backup: there is no host of that name. Check the name in the URI."
    fleet = sample.fleet(sample.guest("web1", AgentState.RESPONDING), hosts=("kvm7", "archive", "backup"))
    for name in ("archive", "backup"):
        fleet = fleet.with_host(replace(fleet.host(name), link=Link.LOST, since=0.0, why=why))
    app = QgaTui((), read_only=True)
    async with app.run_test(size=size) as pilot:
        app.fleet = fleet
        await pilot.press("space")
        await pilot.pause()
        assert text_of(app, "#hosts").startswith("read-only   1 guest   1 marked   ✗ archive lost since")
        told = text_of(app, "#lost")
        assert "✗ archive: Cannot connect" in told
        assert "✗ backup: Cannot connect" in told
        app.fleet = sample.fleet(sample.guest("web1", AgentState.RESPONDING))
        await pilot.pause()
        assert not app.screen.query_one("#lost").display
