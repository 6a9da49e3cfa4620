"""The program under a pilot on a real host: waiting for what is drawn, and finding a guest's row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.pilot import Pilot

from tests.live.watched import PATIENCE_S
from tui.app import QgaTui
from tui.widgets.guest_rows import GuestRows


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the program run until the condition holds; raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await pilot.pause(0.05)


async def go_to(pilot: Pilot[None], app: QgaTui, name: str) -> None:
    """Put the cursor of the guest list on a guest, once the list is there."""
    await until(pilot, lambda: any(guest.name == name for guest in app.fleet.guests.values()))
    table = app.screen.query_one(GuestRows)
    await until(pilot, lambda: table.row_count == len(app.fleet.guests))
    await pilot.press(*["k"] * table.row_count)
    for _ in range(table.row_count):
        guest_id = table.guest_id
        if guest_id is not None and app.fleet.guests[guest_id].name == name:
            return
        await pilot.press("j")
        await pilot.pause()
    raise AssertionError(f"{name} is not in the list")
