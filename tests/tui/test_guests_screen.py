"""The guest list: what is drawn, in the sizes people use, and what the keys do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests.tui import sample
from tui.app import QgaTui
from tui.fleet.fleet import Link
from tui.fleet.view import ListView, shown_guests
from tui.model.guest import AgentState
from tui.widgets.guest_rows import GuestRows

SnapCompare = Callable[..., bool]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50)])
def test_every_state_is_told_by_glyph_and_word(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        app.fleet = sample.every_state()
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=show)


def test_a_lost_host_keeps_its_rows_and_says_why(snap_compare: SnapCompare) -> None:
    app = QgaTui(())

    async def show(pilot: Pilot[None]) -> None:
        app.fleet = replace(sample.every_state(), hosts=sample.fleet(link=Link.LOST).hosts)
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
