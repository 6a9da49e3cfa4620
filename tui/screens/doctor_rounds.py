"""The doctor's rounds: the verdict on every guest in one table, grouped by cause, the worst first."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Static

from tui.doctor.causes import Cause
from tui.doctor.examine import examine_all, worst_first
from tui.doctor.report import as_table
from tui.doctor.verdict import Examination
from tui.fleet.attend import patient_of
from tui.fleet.fleet import Fleet
from tui.fleet.liveness import is_silent
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.guest import GuestId
from tui.model.text import printable
from tui.widgets import clipboard
from tui.widgets.bindings import bindings
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

CAUSE_WIDTH, GUEST_WIDTH = 22, 16
_CALM = {Cause.HEALTHY: "success", Cause.OFF: "muted", Cause.PAUSED: "muted", Cause.AT_WORK: "primary"}


class RoundsScreen(Screen[None], EndsWorkersFirst):
    """Looks at the guests of the fleet it was given, those of `ids`; each row appears as soon as it is known.

    The cursor stays with the worst until it was moved, then on its guest. Guests whose agent was silent lately come
    last: each may cost its whole deadline.
    """

    WHERE = Where.ROUNDS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.ROUNDS)
    HELP = "Every guest with the first cause of its trouble. Enter opens the doctor for one of them."

    class DoctorWanted(Message):
        """The user wants to know more of one guest."""

        def __init__(self, guest_id: GuestId) -> None:
            super().__init__()
            self.guest_id = guest_id

    def __init__(
        self, hosts: Mapping[str, Host], fleet: Fleet, held_by: Callable[[str], str], ids: tuple[GuestId, ...]
    ) -> None:
        super().__init__()
        self._hosts = hosts
        self._fleet = fleet
        self._held_by = held_by
        self._ids = ids
        self._examinations: dict[GuestId, Examination] = {}
        self._order: list[GuestId] = []
        self._placed = 0
        self._was_moved = False

    def compose(self) -> ComposeResult:
        """How far, and the table."""
        yield Static(id="title")
        yield DataTable[Text](cursor_type="row", id="verdicts")
        yield Static(id="sentence")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin the rounds."""
        self.query_one(DataTable).focus()
        self._go_round()

    @work(exclusive=True, group="rounds")
    async def _go_round(self) -> None:
        begun = time.monotonic()
        self._examinations.clear()
        guests = sorted((self._fleet.guests[each] for each in self._ids if each in self._fleet.guests), key=is_silent)
        patients = [patient_of(self._fleet, guest, self._held_by(guest.id.uuid)) for guest in guests]
        self._draw(begun, len(patients))
        async with contextlib.aclosing(examine_all(self._hosts, patients)) as examinations:
            async for examination in examinations:
                patient = examination.facts.patient
                self._examinations[GuestId(patient.host, patient.uuid)] = examination
                self._draw(begun, len(patients))

    def _draw(self, begun: float, total: int) -> None:
        done = len(self._examinations)
        verdicts = [each.verdict for each in self._examinations.values()]
        sick = sum(1 for each in verdicts if not each.is_healthy and each.cause is not Cause.OFF)
        words = f"Verdicts on {done} of {total} guests, {sick} with findings, {time.monotonic() - begun:.1f} s"
        self.query_one("#title", Static).update(Text(words, "bold"))
        table = self.query_one(DataTable)
        self._was_moved = self._was_moved or table.cursor_row != self._placed
        stays = self._was_moved and 0 <= table.cursor_row < len(self._order)
        chosen = self._order[table.cursor_row] if stays else None
        ordered = worst_first(self._examinations.values())
        self._order = [GuestId(each.facts.patient.host, each.facts.patient.uuid) for each in ordered]
        table.clear(columns=True)
        sentence_width = max(self.size.width - CAUSE_WIDTH - GUEST_WIDTH - 6, 20)
        for title, width in (("CAUSE", CAUSE_WIDTH), ("GUEST", GUEST_WIDTH), ("VERDICT", sentence_width)):
            table.add_column(title, width=width)
        styles, before = styles_of(self.app.theme_variables), None
        for each in ordered:
            table.add_row(*_cells(each, before, styles))
            before = each.verdict.cause
        if chosen in self._order:
            table.move_cursor(row=self._order.index(chosen), animate=False)
        self._placed = table.cursor_row

    @on(DataTable.RowHighlighted)
    def _row_reached(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        row = self.query_one(DataTable).cursor_row
        examination = self._examinations.get(self._order[row]) if 0 <= row < len(self._order) else None
        sentence = "" if examination is None else examination.verdict.sentence
        self.query_one("#sentence", Static).update(Text(printable(sentence)))

    @on(DataTable.RowSelected)
    def _row_chosen(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """The doctor for the guest under the cursor."""
        row = self.query_one(DataTable).cursor_row
        if 0 <= row < len(self._order):
            self.post_message(self.DoctorWanted(self._order[row]))

    def action_look(self) -> None:
        """All of them again."""
        self._go_round()

    async def action_report(self) -> None:
        """Copy the table."""
        said = await clipboard.copy(self.app, as_table(worst_first(self._examinations.values())))
        self.notify(said, title="The table in Markdown", markup=False)

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()


def _cells(examination: Examination, before: Cause | None, styles: dict[str, str]) -> tuple[Text, Text, Text]:
    verdict = examination.verdict
    style = styles[_CALM.get(verdict.cause, "warning")]
    cause = Text("" if verdict.cause is before else verdict.cause, style, no_wrap=True, overflow="ellipsis")
    name = Text(printable(examination.facts.patient.name, 80), no_wrap=True, overflow="ellipsis")
    return cause, name, Text(printable(verdict.sentence), no_wrap=True, overflow="ellipsis")
