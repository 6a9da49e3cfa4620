"""The table of guests: titles above the rows."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from tui.fleet.columns import CELL_PADDING
from tui.fleet.fleet import Fleet
from tui.fleet.view import ListView
from tui.model.guest import GuestId
from tui.widgets.guest_rows import LEFT_MARGIN, GuestRows, fit

ARROWS = {False: "▲", True: "▼"}


class GuestTable(Vertical):
    """Header and rows. A click on a column's title sorts by it."""

    class SortWanted(Message):
        """The user clicked a column's title."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def compose(self) -> ComposeResult:
        """The titles above the rows."""
        yield Static(id="titles")
        yield GuestRows()

    @property
    def rows(self) -> GuestRows:
        """The rows."""
        return self.query_one(GuestRows)

    def show(self, fleet: Fleet, view: ListView, busy: frozenset[GuestId] = frozenset()) -> None:
        """Draw the next fleet; `busy` guests run a command of ours."""
        self.rows.show(fleet, view, busy)
        self.show_titles(view)

    def show_titles(self, view: ListView) -> None:
        """Draw the titles; an arrow tells which column the list is sorted by."""
        titles = Text(" " * LEFT_MARGIN, no_wrap=True, end="")
        for column in self.rows.columns:
            title = column.title
            if column.key == view.sort_by:
                gap = " " * (len(title) < column.width)  # where there is none, the arrow keeps off the next title
                title = f"{title}{gap}{ARROWS[view.reverse]}"
            titles.append(fit(title, column.width + CELL_PADDING))
        self.query_one("#titles", Static).update(titles)

    def on_click(self, event: events.Click) -> None:
        """Sort by the column whose title was clicked."""
        if event.widget is None or event.widget.id != "titles":
            return
        left = LEFT_MARGIN
        for column in self.rows.columns:
            left += column.width + CELL_PADDING
            if event.x < left:
                self.post_message(self.SortWanted(column.key))
                return
