"""The table of guests: changes the cells that differ and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import DataTable

from tui.fleet.fleet import Fleet, Link
from tui.fleet.rows import Column, cell, columns_for, ordered
from tui.model.guest import Guest, GuestId
from tui.widgets.tones import AGENT_TONES, POWER_TONES, styles_of

AGE_TICK_S = 1.0


class GuestTable(DataTable[Text]):
    """One row per guest, keyed by its id."""

    class CursorMoved(Message):
        """The cursor rests on another guest, or on none."""

        def __init__(self, guest_id: GuestId | None) -> None:
            super().__init__()
            self.guest_id = guest_id

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cursor_foreground_priority="renderable", id="guests")
        self._fleet = Fleet()
        self._columns: tuple[Column, ...] = ()
        self._order: list[GuestId] = []
        self._drawn: dict[GuestId, dict[str, Text]] = {}

    def on_mount(self) -> None:
        """Let ages grow, and follow the theme."""
        self.set_interval(AGE_TICK_S, self._draw_ages)
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._rebuild())

    def on_resize(self, event: events.Resize) -> None:
        """Choose the columns that fit."""
        several = len(self._fleet.hosts) > 1
        if columns_for(event.size.width, several_hosts=several) != self._columns:
            self._rebuild()

    @property
    def guest_id(self) -> GuestId | None:
        """The guest under the cursor."""
        return self._order[self.cursor_row] if 0 <= self.cursor_row < len(self._order) else None

    def show(self, fleet: Fleet) -> None:
        """Draw the next fleet."""
        before, self._fleet = self._fleet, fleet
        order = [guest.id for guest in ordered(fleet)]
        if order != self._order or len(before.hosts) != len(fleet.hosts):
            self._rebuild()
            return
        links_changed = before.hosts != fleet.hosts
        self._draw(guest for key, guest in fleet.guests.items() if links_changed or before.guests.get(key) is not guest)

    def _rebuild(self) -> None:
        under_cursor, scroll = self.guest_id, self.scroll_y
        self._columns = columns_for(self.size.width, several_hosts=len(self._fleet.hosts) > 1)
        self._order = [guest.id for guest in ordered(self._fleet)]
        now, styles = time.time(), styles_of(self.app.theme_variables)
        self.clear(columns=True)
        for column in self._columns:
            self.add_column(column.title, width=column.width, key=column.key)
        self._drawn = {}
        for guest_id in self._order:
            cells = self._cells(self._fleet.guests[guest_id], now, styles)
            self._drawn[guest_id] = cells
            self.add_row(*cells.values(), key=_row_key(guest_id))
        if under_cursor in self._drawn:
            self.move_cursor(row=self._order.index(under_cursor), animate=False, scroll=False)
        self.scroll_to(y=scroll, animate=False)
        if self.guest_id != under_cursor:
            self.post_message(self.CursorMoved(self.guest_id))

    def _draw(self, guests: Iterable[Guest]) -> None:
        now, styles = time.time(), styles_of(self.app.theme_variables)
        for guest in guests:
            self._change(guest.id, self._cells(guest, now, styles))

    def _draw_ages(self) -> None:
        if not any(column.key == "since" for column in self._columns):
            return
        now = time.time()
        for guest_id, drawn in self._drawn.items():
            guest = self._fleet.guests.get(guest_id)
            if guest is not None and guest.agent.since is not None:
                age = cell(guest, "since", now)
                if drawn["since"].plain != age:
                    self._change(guest_id, {"since": Text(age, style=drawn["since"].style)})

    def _change(self, guest_id: GuestId, cells: dict[str, Text]) -> None:
        drawn = self._drawn[guest_id]
        for key, text in cells.items():
            if drawn[key] != text or drawn[key].style != text.style:
                drawn[key] = text
                self.update_cell(_row_key(guest_id), key, text)

    def _cells(self, guest: Guest, now: float, styles: dict[str, str]) -> dict[str, Text]:
        stale = self._fleet.host(guest.id.host).link is Link.LOST
        tones = {"power": POWER_TONES[guest.facts.power], "agent": AGENT_TONES[guest.agent.state], "name": "plain"}
        return {
            column.key: Text(
                cell(guest, column.key, now),
                style="dim" if stale else styles[tones.get(column.key, "muted")],
                no_wrap=True,
                overflow="ellipsis",
            )
            for column in self._columns
        }

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Tell which guest the cursor rests on."""
        event.stop()
        self.post_message(self.CursorMoved(self.guest_id))


def _row_key(guest_id: GuestId) -> str:
    return f"{guest_id.host}/{guest_id.uuid}"
