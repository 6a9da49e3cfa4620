"""What was left behind on one guest: how it is, how urgent, and the one safe way on."""

from __future__ import annotations

import json
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from tui.backup.errand import errand_log, run_errand
from tui.backup.leftovers import Leftover, RestoreEvidence, Way
from tui.model.command import Where
from tui.model.text import printable
from tui.screens.jobs import URGENCY_TONES
from tui.widgets.bindings import bindings
from tui.widgets.changing_button import ChangingButton
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

WAY_WORDS: dict[Way, str] = {
    Way.THAW: "Thaw the guest",
    Way.MERGE: "Merge and tidy up",
    Way.PIVOT: "Pivot and tidy up",
    Way.TIDY: "Tidy up",
    Way.MERGE_CONFIRMED: "Merge it",
    Way.FINISH: "Finish it",
    Way.UNDO: "Undo it",
}
"""What the button says; a way that is not here is only explained."""


class RescueScreen(Screen[bool], EndsWorkersFirst):
    """Explains one leftover; True where it was set right.

    The work is done by `argv`, a process of its own that prints JSON, and goes on when the screen is left.
    """

    WHERE = Where.RESCUE
    BINDINGS: ClassVar[list[BindingType]] = bindings(Where.RESCUE)
    HELP = "What a backup left behind. Nothing is changed before you say so, and nothing is deleted that holds data."

    def __init__(self, leftover: Leftover, argv: tuple[str, ...], *, read_only: bool = False) -> None:
        super().__init__()
        self._leftover = leftover
        self._argv = argv
        self._read_only = read_only
        self._has_way = leftover.way in WAY_WORDS
        self._offered = self._has_way and not read_only
        self._mended = False

    def compose(self) -> ComposeResult:
        """The words, a field where the guest's name has to be typed, the button."""
        yield Static(Text(f"Rescue of {printable(self._leftover.guest, 60)}"), id="title")
        with VerticalScroll(id="words"):
            yield Static(id="found")
            yield Input(placeholder="the guest's name, to confirm", id="name")
            yield Static(id="outcome")
        with Horizontal(classes="buttons"):
            words = WAY_WORDS.get(self._leftover.way, "")
            yield ChangingButton(words, id="apply", read_only=self._read_only, variant="primary")
            yield Button(Text("Leave it"), id="leave")
        yield KeyLine()

    def on_mount(self) -> None:
        """Show what is offered and nothing else."""
        leftover = self._leftover
        self.query_one("#found", Static).update(_words(leftover, styles_of(self.app.theme_variables)))
        has_name = self._offered and leftover.way is Way.MERGE_CONFIRMED
        self.query_one("#apply").display = self._has_way
        self.query_one("#name").display = has_name
        self.query_one("#name" if has_name else "#apply" if self._offered else "#leave").focus()

    @on(Button.Pressed, "#leave")
    def action_back(self) -> None:
        """Back; what was begun goes on by itself."""
        self.dismiss(self._mended)

    @on(Input.Submitted, "#name")
    @on(Button.Pressed, "#apply")
    def _apply(self) -> None:
        typed = self.query_one("#name", Input).value
        if self._leftover.way is Way.MERGE_CONFIRMED and typed != self._leftover.guest:
            self._say("Type the guest's name first: this may be a clone of yours.", "warning")
            return
        self.query_one("#apply", Button).disabled = True
        self._say("Working … this goes on when you leave the screen.", "muted")
        self._run(typed)

    @work(exclusive=True)
    async def _run(self, typed: str) -> None:
        plan = self._leftover.evidence.plan
        confirm = ("--confirm", typed) if self._leftover.way is Way.MERGE_CONFIRMED else ()
        argv = (*self._argv, "-c", plan.uri, "rescue", plan.uuid, "--apply", "--json", *confirm)
        try:
            ended = await run_errand(argv, errand_log(plan.run_id), self._tell_doing)
        except OSError as error:
            self._say(f"The rescue could not be started: {error}", "error")
        else:
            self._tell(ended.answer, ended.said)

    def _tell_doing(self, words: str) -> None:
        self._say(f"{words}\nThis goes on when you leave the screen.", "muted")

    def _tell(self, out: str, err: str) -> None:
        try:
            told = json.loads(out)
        except ValueError:
            self._say(err.strip() or "The rescue said nothing.", "error")
            return
        open_ones = [each for each in told if each.get("open")]
        for each in open_ones:
            self._say(str(each.get("error") or each.get("explanation")), "error")
        self._mended = not open_ones
        if self._mended:
            words = [f"✓ {each.get('outcome', 'Nothing is left behind any more.')}" for each in told]
            words += [f"! {remark}" for each in told for remark in each.get("remarks", ())]
            self._say("\n".join(words) or "✓ Nothing is left behind any more.", "success")
            self.query_one("#leave", Button).label = Text("Back")
            self.query_one("#leave").focus()

    def _say(self, words: str, tone: str) -> None:
        style = styles_of(self.app.theme_variables)[tone]
        text = Text("\n").append("\n".join(printable(line) for line in words.splitlines()), style)
        self.query_one("#outcome", Static).update(text)


def _words(leftover: Leftover, styles: dict[str, str]) -> Text:
    text = Text()
    text.append(f"{printable(leftover.title)}\n", styles[URGENCY_TONES[leftover.urgency]])
    text.append(f"\n{printable(leftover.explanation)}\n")
    text.append("\nDisks\n", "bold")
    if isinstance(leftover.evidence, RestoreEvidence):
        for place in leftover.evidence.places:
            text.append(f"{printable(place)}\n")
        return text
    for each in leftover.evidence.disks:
        there = "" if each.overlay_exists else " (gone)"
        lines = (
            f"{each.disk.target}  is on {each.place}",
            f"  base     {each.disk.base}",
            f"  overlay  {each.disk.overlay}{there}",
        )
        for line in lines:
            text.append(f"{printable(line)}\n")
    if leftover.commands:
        text.append("\nThe same by hand\n", "bold")
        for command in leftover.commands:
            text.append(f"  {printable(command)}\n", "dim")
    return text
