"""The keys that say which guests the list shows: filter, marks, order, columns, and the cursor."""

from __future__ import annotations

from dataclasses import replace

from textual import on
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input

from tui.fleet import columns
from tui.fleet.fleet import Fleet
from tui.fleet.view import ListView, matching_pattern, shown_guests
from tui.model.guest import GuestId
from tui.model.text import printable
from tui.screens.choose_columns import ColumnsScreen
from tui.screens.line import LineScreen
from tui.widgets.guest_rows import GuestRows
from tui.widgets.guest_table import GuestTable


class ViewScreen(Screen[None]):
    """A screen with a guest table and an input `#filter`: each key makes the next `view`.

    Drawing it is for whoever extends this.
    """

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)
    view: reactive[ListView] = reactive(ListView(), init=False)

    @property
    def rows(self) -> GuestRows:
        """The table's rows."""
        return self.query_one(GuestRows)

    def action_down(self) -> None:
        """Move the cursor down."""
        self.rows.action_move(1)

    def action_up(self) -> None:
        """Move the cursor up."""
        self.rows.action_move(-1)

    def action_filter(self) -> None:
        """Begin to filter, or change the filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        self.set_focus(box)  # at once: what is typed next belongs to the filter

    @on(Input.Changed, "#filter")
    def _filter(self, event: Input.Changed) -> None:
        self.view = replace(self.view, filter=event.value)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.query_one("#filter").display = bool(self.view.filter)
        self.rows.focus()

    def action_clear(self) -> None:
        """Show all guests again."""
        box = self.query_one("#filter", Input)
        box.value = ""
        box.display = False
        self.rows.focus()

    def action_mark(self) -> None:
        """Mark or unmark, and go on to the next guest."""
        if self.rows.guest_id is not None:
            self.view = self.view.toggled(self.rows.guest_id)
            self.rows.action_move(1)

    def action_mark_all(self) -> None:
        """Mark what is shown."""
        shown = frozenset(guest.id for guest in shown_guests(self.fleet, self.view))
        self.view = replace(self.view, marked=self.view.marked | shown)

    def action_mark_none(self) -> None:
        """Unmark all."""
        self.view = replace(self.view, marked=frozenset())

    def action_mark_pattern(self) -> None:
        """Mark by a pattern that is asked for."""

        def mark(pattern: str | None) -> None:
            if pattern:
                found = matching_pattern(self.fleet, pattern)
                self.view = replace(self.view, marked=self.view.marked | found)
                self.notify(f"{len(found)} guests match {printable(pattern, 40)}", markup=False)

        self.app.push_screen(LineScreen(printable("Mark the guests whose names match"), "web*"), mark)

    def action_sort_next(self) -> None:
        """Sort by the next column that is shown."""
        keys = [column.key for column in self.rows.columns]
        place = keys.index(self.view.sort_by) if self.view.sort_by in keys else -1
        self.view = self.view.sorted_by(keys[(place + 1) % len(keys)])

    def action_sort_reverse(self) -> None:
        """Sort the other way round."""
        self.view = replace(self.view, reverse=not self.view.reverse)

    @on(GuestTable.SortWanted)
    def _sort(self, event: GuestTable.SortWanted) -> None:
        self.view = self.view.sorted_by(event.key)

    def sort_by(self, key: str) -> None:
        """Sort by a column, from the palette."""
        if key in columns.ALL:
            self.view = self.view.sorted_by(key)

    def go_to(self, guest_id: GuestId) -> None:
        """Put the cursor on a guest, clearing a filter that hides it."""
        if not self.rows.go_to(guest_id):
            self.action_clear()
            self.view = replace(self.view, filter="")
            self.rows.go_to(guest_id)

    def action_columns(self) -> None:
        """Choose the columns."""

        def choose(keys: tuple[str, ...] | None) -> None:
            if keys is not None:
                self.view = replace(self.view, columns=keys)

        self.app.push_screen(ColumnsScreen(self.view.columns, self.rows.fitting), choose)
