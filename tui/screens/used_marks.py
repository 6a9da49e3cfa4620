"""Marks that were used are taken away, so that the next command is not about those guests by surprise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import App

from tui.model.guest import Guest
from tui.screens.guests_view import ViewScreen


def take_marks_away(app: App[None], guests: Sequence[Guest]) -> None:
    """Unmark all, and say so, once a command was begun on marked `guests`; one on others leaves the marks alone."""
    ids = {guest.id for guest in guests}
    for screen in app.screen_stack:
        if isinstance(screen, ViewScreen) and not ids.isdisjoint(screen.view.marked):
            count = len(screen.view.marked & screen.fleet.guests.keys())
            screen.view = replace(screen.view, marked=frozenset())
            words = f"{count} marks were used and are" if count != 1 else "The mark was used and is"
            app.notify(f"{words} taken away.", markup=False)
