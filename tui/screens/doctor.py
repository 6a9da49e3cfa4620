"""The doctor at one guest: what is wrong, what mends it, and every check as it turns good while the user mends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.doctor.apply import apply, find_media
from tui.doctor.causes import Cause
from tui.doctor.facts import Patient
from tui.doctor.findings import Outcome
from tui.doctor.fixes import Fix, OurFix, TheirFix
from tui.doctor.remedies import remedies
from tui.doctor.report import as_markdown
from tui.doctor.report_file import write_report
from tui.doctor.systems import Family
from tui.doctor.verdict import Examination
from tui.fleet.attend import Attendance
from tui.fleet.fleet import Fleet
from tui.hosts.port import Host, HostError
from tui.hosts.same_files import are_here
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.guest import Guest, GuestId, Happening
from tui.model.text import printable
from tui.screens.doctor_details import EvidenceScreen, FixScreen
from tui.screens.serial import open_serial
from tui.widgets import clipboard
from tui.widgets import examination_text as told
from tui.widgets.bindings import bindings, is_refused
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

CHANGES_SHOWN = 12
BESIDE_LINES = 3
"""Cells beside a line of the list, its scrollbar included."""


class DoctorScreen(Screen[None], EndsWorkersFirst):
    """Stays and looks again by itself; `held_by` tells who of ours works on a guest."""

    WHERE = Where.DOCTOR
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.DOCTOR)
    HELP = "Keep this open while you mend the guest: each line turns good by itself, with the time at which it did."

    fleet: reactive[Fleet] = reactive(Fleet(), init=False)

    class Mended(Message):
        """A fix of ours was done on a guest: what the list says of it is to be fresh."""

        def __init__(self, guest_id: GuestId) -> None:
            super().__init__()
            self.guest_id = guest_id

    def __init__(self, host: Host, guest: Guest, held_by: Callable[[str], str], *, read_only: bool = False) -> None:
        super().__init__()
        self._host = host
        self._guest = guest
        self._read_only = read_only
        self._attendance = Attendance(host, guest.id.uuid, held_by, read_only=read_only)
        self.examination: Examination | None = None
        self.fixes: tuple[Fix, ...] = ()
        self._doing = ""
        self._drawn: Cause | None = None

    @property
    def last_change(self) -> str:
        """The latest that was seen to change, empty where nothing did."""
        return self._attendance.changes[-1].what if self._attendance.changes else ""

    def compose(self) -> ComposeResult:
        """Title, verdict, and one list of fixes, checks and changes."""
        yield Static(id="title")
        yield Static(Text("Looking …", "dim"), id="verdict")
        yield OptionList(id="lines", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin to look, and go on with it."""
        self._attendance.fleet_changed(self.fleet)
        self.query_one("#lines").focus()
        self.set_interval(1.0, self._draw_title)
        self._draw_title()
        self._attend()

    def on_resize(self) -> None:
        """Commands are wrapped anew."""
        self._draw()

    def watch_fleet(self, fleet: Fleet) -> None:
        """The guest may have changed."""
        self._attendance.fleet_changed(fleet)

    @work(exclusive=True, group="attend")
    async def _attend(self) -> None:
        async with contextlib.aclosing(self._attendance.examinations()) as examinations:
            async for examination in examinations:
                self.show(examination)
        self.query_one("#verdict", Static).update(Text("This guest is gone from its host."))

    def show(self, examination: Examination) -> None:
        """Draw the next examination."""
        self.examination = examination
        self._draw()

    def _draw_title(self) -> None:
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(printable(self._guest.name, 40), "bold")
        if self._read_only:
            title.append("  read-only", styles_of(self.app.theme_variables)["warning"])
        if self._doing:
            title.append(f"  {self._doing} …")
        elif self.examination is None or self._attendance.looking:
            title.append("  looking …", "dim")
        else:
            facts = self.examination.facts
            ago = max(int(time.time() - facts.at), 0)
            title.append(f"  looked {ago} s ago for {facts.took_s:.1f} s, looks again by itself", "dim")
        self.query_one("#title", Static).update(title)

    def _draw(self) -> None:
        examination = self.examination
        if examination is None:
            return
        styles = styles_of(self.app.theme_variables)
        self.fixes = remedies(examination)
        self.query_one("#verdict", Static).update(told.verdict_text(examination, styles))
        lines = self.query_one("#lines", OptionList)
        chosen = lines.highlighted_option.id if lines.highlighted_option is not None else None
        options = self._options(examination, styles)
        lines.set_options(options)
        places = {option.id: place for place, option in enumerate(options) if not option.disabled}
        first = next(iter(places.values()), None)
        is_news = examination.verdict.cause is not self._drawn
        lines.highlighted = first if is_news else places.get(chosen, first)
        self._drawn = examination.verdict.cause
        self._draw_title()

    def _options(self, examination: Examination, styles: dict[str, str]) -> list[Option]:
        system = examination.facts.system
        options: list[Option] = []
        if self.fixes:
            console = "" if self._read_only else ", v its console"
            header = f"What mends it on {system.family} (o changes that{console}): {system.known_from}"
            if system.family is Family.UNKNOWN:
                header = f"What mends it, whatever the guest runs (o its system{console})"
            options.append(_header(printable(header)))
            width = self.size.width - BESIDE_LINES
            options += [Option(told.fix_text(fix, styles, width), f"fix:{_key(fix)}") for fix in self.fixes]
        options.append(_header("Checks, from the outside in (enter shows the evidence)"))
        changed = {line.what.partition(":")[0]: line.at for line in self._attendance.changes}
        options += [
            Option(told.check_text(each, changed.get(each.title), styles), f"check:{each.id}")
            for each in examination.findings
            if each.outcome is not Outcome.SKIPPED
        ]
        waiting = [each.title for each in examination.findings if each.outcome is Outcome.SKIPPED]
        if waiting:
            options.append(Option(told.waiting_text(waiting), disabled=True))
        if self._attendance.changes:
            options.append(_header("Seen to change, the latest first"))
            latest = reversed(self._attendance.changes[-CHANGES_SHOWN:])
            options += [Option(told.change_text(line), f"change:{number}") for number, line in enumerate(latest)]
        return options

    def _chosen_fix(self) -> Fix | None:
        option = self.query_one("#lines", OptionList).highlighted_option
        kind, _, key = (option.id if option is not None and option.id else "").partition(":")
        return next((fix for fix in self.fixes if kind == "fix" and _key(fix) == key), None)

    @on(OptionList.OptionSelected, "#lines")
    async def _line_chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        fix = self._chosen_fix()
        if isinstance(fix, OurFix) and self._read_only:
            self.notify("Read-only: nothing is changed from here.", severity="warning", markup=False)
        elif isinstance(fix, OurFix):
            self._propose(fix)
        elif fix is not None:
            await self.action_copy()
        elif self.examination is not None and event.option_id is not None:
            wanted = event.option_id.partition(":")[2]
            for finding in self.examination.findings:
                if event.option_id.startswith("check:") and finding.id == wanted:
                    self.app.push_screen(
                        EvidenceScreen(told.details_text(finding, styles_of(self.app.theme_variables)))
                    )

    @work(exclusive=True, group="fix")
    async def _propose(self, fix: OurFix) -> None:
        try:
            here = await are_here(self._host)
        except HostError as error:
            self.notify(printable(error.one_line()), title="Not done", severity="error", markup=False, timeout=15)
            return
        media = await asyncio.to_thread(find_media) if fix.needs_medium and here else ()
        medium = await self.app.push_screen_wait(FixScreen(fix, printable(self._guest.name, 40), media, here=here))
        if medium is None:
            return
        self._doing = printable(fix.title)
        self._draw_title()
        patient = Patient(self._host.name, self._guest.id.uuid, self._guest.name)
        try:
            said = await apply(self._host, patient, fix.kind, medium)
        except ExplainedError as error:
            self._attendance.changes.append(Happening(time.time(), f"{fix.title} failed: {error.one_line()}"))
            self.notify(printable(error.one_line()), title="Not done", severity="error", markup=False, timeout=15)
        else:
            self._attendance.changes.append(Happening(time.time(), said))
            self.notify(printable(said), title="Done", markup=False)
        self._doing = ""
        self._attendance.look_soon()
        self.post_message(self.Mended(self._guest.id))

    async def action_copy(self) -> None:
        """Copy the command under the cursor; a step without one is shown whole."""
        fix = self._chosen_fix()
        command = "\n".join(fix.virsh) if isinstance(fix, OurFix) else fix.command if fix is not None else ""
        if not command:
            step = f"{fix.title}: {fix.note}" if isinstance(fix, TheirFix) else "There is no command on this line."
            self.notify(printable(step), title="Nothing to copy", markup=False)
            return
        said = await clipboard.copy(self.app, command)
        self.notify("\n".join((*map(printable, command.splitlines()), said)), markup=False)

    def action_down(self) -> None:
        """To the next line."""
        self.query_one("#lines", OptionList).action_cursor_down()

    def action_up(self) -> None:
        """To the line before."""
        self.query_one("#lines", OptionList).action_cursor_up()

    def action_look(self) -> None:
        """Look now."""
        self._attendance.look_soon()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Read-only mode shows what changes the guest as disabled."""
        return None if is_refused(Where.DOCTOR, action, read_only=self._read_only) else True

    def action_serial(self) -> None:
        """Hand the terminal to the guest's console, where most of what mends an agent is typed."""
        if not is_refused(Where.DOCTOR, "serial", read_only=self._read_only):
            self.run_worker(self._use_serial(), name="serial")

    async def _use_serial(self) -> None:
        await open_serial(self.app, self._host.uri, self._guest)
        self._attendance.look_soon()

    def action_system(self) -> None:
        """Take the next system for the guest's: the commands change with it."""
        if self.examination is not None:
            families = list(Family)
            now = families.index(self.examination.facts.system.family)
            self._attendance.say_system(families[(now + 1) % len(families)])

    async def action_report(self) -> None:
        """Copy the report for a ticket."""
        if self.examination is not None:
            said = await clipboard.copy(self.app, as_markdown(self.examination))
            self.notify(said, title="Report in Markdown, secrets removed", markup=False)

    def action_save(self) -> None:
        """Write the report to a file."""
        if self.examination is None:
            return
        try:
            path = write_report(self._guest.name, as_markdown(self.examination))
        except OSError as error:
            self.notify(printable(str(error)), title="The report was not written", severity="error", markup=False)
        else:
            self.notify(printable(str(path)), title="Report written", markup=False)

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()


def _header(words: str) -> Option:
    return Option(Text(words, "bold", no_wrap=True, overflow="ellipsis"), disabled=True)


def _key(fix: Fix) -> str:
    return str(fix.kind) if isinstance(fix, OurFix) else f"{fix.title}"
