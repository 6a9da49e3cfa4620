"""The rows of the guest list, drawn line by line: only what is visible costs, only cells that differ are repainted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.fleet.columns import CELL_PADDING, Column, cell, fitting
from tui.fleet.fleet import Fleet
from tui.fleet.view import ListView, shown_guests
from tui.model.guest import Guest, GuestId
from tui.model.text import Shown
from tui.widgets.tones import AGENT_TONES, POWER_TONES, styles_of

AGE_TICK_S = 1.0
LEFT_MARGIN = 1
CURSOR = "›"
"""In the margin of the row under the cursor, whose colour alone would be lost where there are no colours."""


@dataclass(frozen=True, slots=True)
class _DrawnRow:
    """What a line of the screen shows: a guest's cells in the columns that they were made for."""

    guest_id: GuestId
    columns: tuple[Column, ...]
    cells: tuple[Shown, ...]


class GuestRows(ScrollView, can_focus=True):
    """The rows. Once it was moved, the cursor stays on its guest, whatever is sorted, filtered or added."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor"}

    class CursorMoved(Message):
        """The cursor rests on another guest, or on none."""

        def __init__(self, guest_id: GuestId | None) -> None:
            super().__init__()
            self.guest_id = guest_id

    class ColumnsFitted(Message):
        """Other columns fit now, or the same in other widths."""

    class Chosen(Message):
        """A click on the guest under the cursor."""

    def __init__(self) -> None:
        super().__init__(id="rows")
        self._fleet = Fleet()
        self._view = ListView()
        self._busy: frozenset[GuestId] = frozenset()
        self._columns: tuple[Column, ...] = ()
        self._guests: list[Guest] = []
        self._cursor = 0
        self._was_moved = False
        self._drawn: dict[int, _DrawnRow] = {}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that fit now."""
        return self._columns

    @property
    def guest_id(self) -> GuestId | None:
        """The guest under the cursor."""
        return self._guests[self._cursor].id if self._guests else None

    @property
    def row_count(self) -> int:
        """How many guests pass the filter."""
        return len(self._guests)

    def row(self, place: int) -> tuple[Shown, ...]:
        """The texts of a row's cells, as they are drawn."""
        return self._cells(self._guests[place], time.time())

    def on_mount(self) -> None:
        """Let ages grow."""
        self.set_interval(AGE_TICK_S, self._repaint_changed)

    def show(self, fleet: Fleet, view: ListView, busy: frozenset[GuestId] = frozenset()) -> None:
        """Draw the next fleet as the view wants it; `busy` guests run a command of ours."""
        under_cursor = self.guest_id
        layout_before = self._layout()
        links_before = tuple(host.link for host in self._fleet.hosts)
        self._fleet, self._view, self._busy = fleet, view, busy
        self._guests = shown_guests(fleet, view)
        self._fit_columns()
        places = {guest.id: place for place, guest in enumerate(self._guests)}
        kept = places.get(under_cursor, self._cursor) if under_cursor is not None and self._was_moved else self._cursor
        moved_by = kept - self._cursor
        self._cursor = min(max(kept, 0), max(len(self._guests) - 1, 0))
        self.virtual_size = Size(self.size.width, len(self._guests))
        if self._layout() != layout_before or moved_by or links_before != tuple(host.link for host in fleet.hosts):
            self._keep_cursor_visible()
            self.refresh()
        else:
            self._repaint_changed()
        if self.guest_id != under_cursor:
            self.post_message(self.CursorMoved(self.guest_id))

    def _layout(self) -> tuple[object, ...]:
        return (self._columns, len(self._guests))

    def fitting(self, keys: tuple[str, ...]) -> frozenset[str]:
        """Which of some columns there is room for now."""
        return frozenset(column.key for column in self._fitted(keys))

    def _fitted(self, keys: tuple[str, ...]) -> tuple[Column, ...]:
        width = (self.size.width or self.app.size.width) - LEFT_MARGIN
        return fitting(keys, width, several_hosts=len(self._fleet.hosts) > 1)

    def _fit_columns(self) -> None:
        columns = self._fitted(self._view.columns)
        if columns != self._columns:
            self._columns = columns
            self.post_message(self.ColumnsFitted())

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self._fit_columns()
        self._drawn.clear()
        self._keep_cursor_visible()
        self.refresh()

    def _cells(self, guest: Guest, now: float) -> tuple[Shown, ...]:
        marked, busy = guest.id in self._view.marked, guest.id in self._busy
        return tuple(cell(guest, column, now, marked=marked, busy=busy) for column in self._columns)

    def _repaint_changed(self) -> None:
        """Repaint the visible cells whose text differs from what was drawn."""
        now, top = time.time(), self.scroll_offset.y
        for y in range(min(self.size.height, len(self._guests) - top)):
            guest = self._guests[top + y]
            drawn = self._drawn.get(y)
            if drawn is None or drawn.guest_id != guest.id or drawn.columns != self._columns:
                self.refresh(Region(0, y, self.size.width, 1))
                continue
            left = LEFT_MARGIN
            for column, text, before in zip(drawn.columns, self._cells(guest, now), drawn.cells, strict=True):
                if text != before:
                    self.refresh(Region(left, y, column.width + CELL_PADDING, 1))
                left += column.width + CELL_PADDING

    def render_line(self, y: int) -> Strip:
        """One visible row."""
        place, width = self.scroll_offset.y + y, self.size.width
        base = self.rich_style
        if place >= len(self._guests):
            self._drawn.pop(y, None)
            return Strip.blank(width, base)
        guest = self._guests[place]
        cells = self._cells(guest, time.time())
        self._drawn[y] = _DrawnRow(guest.id, self._columns, cells)
        margin = " " * LEFT_MARGIN
        if place == self._cursor:
            base = base + self.get_component_rich_style("rows--cursor")
            margin = CURSOR
        segments = [Segment(margin, base)]
        for column, text, style in zip(self._columns, cells, self._styles(guest), strict=True):
            segments.append(Segment(fit(text, column.width), base + style))
            segments.append(Segment(" " * CELL_PADDING, base))
        return Strip(segments).adjust_cell_length(width, base)

    def _styles(self, guest: Guest) -> list[Style]:
        styles = styles_of(self.app.theme_variables)
        if self._fleet.is_lost(guest.id.host):
            return [Style.parse("dim")] * len(self._columns)
        tones = {"power": POWER_TONES[guest.facts.power], "agent": AGENT_TONES[guest.agent.state]}
        return [Style.parse(styles[tones.get(column.tone, column.tone)] or "none") for column in self._columns]

    def _move_to(self, place: int) -> None:
        self._was_moved = True
        place = min(max(place, 0), max(len(self._guests) - 1, 0))
        if place == self._cursor:
            return
        before, self._cursor = self._cursor, place
        top = self.scroll_offset.y
        self._keep_cursor_visible()
        if self.scroll_offset.y == top:
            for line in (before - top, place - top):
                self.refresh(Region(0, line, self.size.width, 1))
        self.post_message(self.CursorMoved(self.guest_id))

    def _keep_cursor_visible(self) -> None:
        self.scroll_to_region(Region(0, self._cursor, 1, 1), animate=False, immediate=True)

    def go_to(self, guest_id: GuestId) -> bool:
        """Put the cursor on a guest; whether it is shown."""
        for place, guest in enumerate(self._guests):
            if guest.id == guest_id:
                self._move_to(place)
                return True
        return False

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows."""
        self._move_to(self._cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._move_to(self._cursor + pages * max(self.size.height - 1, 1))

    def action_edge(self, direction: int) -> None:
        """Move the cursor to the first or the last guest."""
        self._move_to(0 if direction < 0 else len(self._guests) - 1)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; on the guest under it, it chooses."""
        place = self.scroll_offset.y + event.y
        if place == self._cursor and event.chain >= 2:
            self.post_message(self.Chosen())
        elif place < len(self._guests):
            self._move_to(place)


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: padded, or cut with an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(width - 1, 0)) + "…"[:width]
