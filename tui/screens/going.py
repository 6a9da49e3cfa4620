"""Back to the guest list from any screen above it, with the cursor on a guest: what the palette's "Go to" does."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, runtime_checkable

from textual.app import App
from textual.screen import Screen

from tui.model.guest import GuestId
from tui.screens.details import DetailsScreen
from tui.screens.guests import GuestsScreen


@runtime_checkable
class LeavesAtOnce(Protocol):
    """A screen whose `esc` goes through steps, and that can be left from each of them."""

    async def leave(self) -> None:
        """Dismiss it, after the question that `esc` would ask; it stays where it is not to be left."""


def guest_list(app: App[Any]) -> GuestsScreen | None:
    """The guest list below all other screens."""
    lowest = app.screen_stack[0]
    return lowest if isinstance(lowest, GuestsScreen) else None


def go_to_guest(app: App[Any], guest_id: GuestId) -> None:
    """Leave every screen above the list, then put the cursor on the guest; from details, open the guest's own.

    Each screen is left as its own `esc` leaves it, so that what runs goes on or is asked about. Where one stays, so
    does the user.
    """
    app.run_worker(_go(app, guest_id), name="go to guest")


async def _go(app: App[Any], guest_id: GuestId) -> None:
    from_details = any(isinstance(screen, DetailsScreen) for screen in app.screen_stack)
    while (top := app.screen) is not guest_list(app):
        await _leave(app, top)
        if top in app.screen_stack:
            return
    listed = guest_list(app)
    if listed is not None:
        listed.go_to(guest_id)
        if from_details and listed.rows.guest_id == guest_id:
            listed.action_details()


async def _leave(app: App[Any], screen: Screen[Any]) -> None:
    if isinstance(screen, LeavesAtOnce):
        await screen.leave()
    elif (escape := screen.active_bindings.get("escape")) is not None:
        await app.run_action(escape.binding.action, escape.node)
    await asyncio.sleep(0)  # what waited for the screen's answer may go on before the next one is left
