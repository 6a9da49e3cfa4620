"""What to do with one backup: choose a way, say what it has to be told, review the plan, start."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, ContentSwitcher, Input, OptionList, Static

from tui.backup.errors import Explained, explained
from tui.backup.launch import launch
from tui.backup.proof import Proof
from tui.backup.restore.catalogue import FoundBackup, look_at
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.restore.propose import RestoreProposal, propose_restore
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Fix, Wishes
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.model.paths import typed_path
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.inside import InsideScreen
from tui.screens.restore_run import RestoreRunScreen
from tui.screens.verify import VerifyScreen
from tui.widgets.bindings import bindings
from tui.widgets.changing_button import ChangingButton
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.proposal_text import restore_proposal_text
from tui.widgets.restore_form import RestoreForm, asked_of
from tui.widgets.saved_text import found_text, when
from tui.widgets.tones import styles_of
from tui.widgets.way_list import INSIDE, VERIFY, WayList, way_label


class RestoreScreen(Screen[None], EndsWorkersFirst):
    """The wizard for one backup; every page has the one before it under esc."""

    WHERE = Where.RESTORE
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.RESTORE),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
    ]
    HELP = "Nothing is written before you start it. A running restore goes on when you leave; B finds it again."

    def __init__(
        self,
        host: Host,
        found: FoundBackup,
        saved: SavedBackup,
        guests: tuple[Guest, ...],
        worker_argv: tuple[str, ...],
        *,
        read_only: bool = False,
    ) -> None:
        """`saved` is what `found` holds, `guests` are those of `host`."""
        super().__init__()
        self._host = host
        self._found = found
        self._saved = saved
        self._guests = guests
        self._worker_argv = worker_argv
        self._read_only = read_only
        self._wishes = Wishes()
        self._proposal: RestoreProposal | None = None

    def compose(self) -> ComposeResult:
        """The pages, one at a time."""
        yield Static(id="title")
        with ContentSwitcher(initial="choose"):
            with Vertical(id="choose"):
                yield WayList(read_only=self._read_only)
                yield Static(id="backup")
            yield RestoreForm(self._saved, self._guests)
            with Vertical(id="review"):
                with VerticalScroll(id="plan-scroll"):
                    yield Static(id="plan")
                yield OptionList(id="fixes")
                with Horizontal(classes="buttons"):
                    yield ChangingButton("Start the restore", id="start", read_only=self._read_only, variant="primary")
                    yield Button("Change", id="change")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with what may be done."""
        self._choose()

    def _show(self, page: str, focus: str) -> None:
        self.query_one(ContentSwitcher).current = page
        self.query_one(focus).focus()

    def _choose(self) -> None:
        self.workers.cancel_group(self, "propose")
        self._draw_backup()
        self._draw_title()
        self._show("choose", "#ways")

    def _draw_title(self, way: RestoreWay | None = None) -> None:
        words = f"Restore {printable(self._found.guest, 40)} of {when(self._found)}"
        chosen = f": {way_label(way)}" if way is not None else f" on {printable(self._host.name, 40)}"
        self.query_one("#title", Static).update(Text(f"{words}{chosen}", no_wrap=True, overflow="ellipsis"))

    def _draw_backup(self) -> None:
        self.query_one("#backup", Static).update(found_text(self._found, styles_of(self.app.theme_variables)))

    @on(OptionList.OptionSelected, "#ways")
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        if event.option_id == VERIFY:
            self.app.push_screen(VerifyScreen(self._found), self._verified)
        elif event.option_id == INSIDE:
            self.app.push_screen(InsideScreen(self._saved))
        else:
            self._begin(RestoreWay(str(event.option_id)))

    def _verified(self, proof: Proof | None) -> None:
        if proof is not None:
            self._reread()

    @work(group="note")
    async def _reread(self) -> None:
        self._found = await asyncio.to_thread(look_at, self._found.folder)
        self._draw_backup()

    def _begin(self, way: RestoreWay) -> None:
        """Ask for what the way needs to be told, or show its plan at once."""
        self._wishes = Wishes(way=way)
        self._draw_title(way)
        self.query_one(
            "#start", Button
        ).label = f"Start the {'boot test' if way is RestoreWay.BOOT_TEST else 'restore'}"
        if asked_of(way, self._saved) - {"place"}:
            self._show("form", "#check")
            self.query_one(RestoreForm).ask_anew(way)
        else:
            self.query_one("#backup", Static).update(Text("Checking …", "dim"))
            self._propose()

    @on(Input.Submitted)
    @on(Button.Pressed, "#check")
    def _check(self) -> None:
        form = self.query_one(RestoreForm)
        try:
            self._wishes = form.wishes(self._wishes)
        except ExplainedError as error:
            self._trouble(explained(error))
            return
        form.say(Text("Checking …", "dim"))
        self._propose()

    @work(exclusive=True, group="propose")
    async def _propose(self) -> None:
        styles = styles_of(self.app.theme_variables)
        try:
            wishes = replace(self._wishes, to=_expanded(self._wishes.to))
            self._proposal = await propose_restore(self._host, self._saved, wishes)
        except (ExplainedError, OSError) as error:
            self._trouble(explained(error))
            return
        self.query_one("#plan", Static).update(restore_proposal_text(self._proposal, styles))
        self.query_one("#plan-scroll", VerticalScroll).scroll_home(animate=False)
        fixes = self.query_one("#fixes", OptionList)
        fixes.set_options([Text(printable(f"→ {fix.label}", 100)) for fix in self._fixes])
        fixes.highlighted = 0 if self._fixes else None
        fixes.display = bool(self._fixes)
        start = self.query_one("#start", Button)
        start.disabled = not self._proposal.may_begin
        self._show("review", "#start" if self._proposal.may_begin else "#fixes" if self._fixes else "#change")

    @property
    def _fixes(self) -> tuple[Fix, ...]:
        """The changes to the plan that are offered."""
        if self._proposal is None:
            return ()
        return tuple(fix for finding in self._proposal.findings for fix in finding.fixes)

    @on(OptionList.OptionSelected, "#fixes")
    def _take_fix(self, event: OptionList.OptionSelected) -> None:
        self._wishes = self._fixes[event.option_index].wishes
        self._propose()

    def _trouble(self, error: Explained) -> None:
        words = printable(". ".join(filter(None, (error.title, error.cause, error.next_step))))
        self.query_one(RestoreForm).say(Text(f"✗ {words}", styles_of(self.app.theme_variables)["error"]))
        if self.query_one(ContentSwitcher).current != "form":
            self._draw_backup()
            self.notify(words, title="It cannot be done so", severity="error", markup=False)

    @on(Button.Pressed, "#change")
    def _change(self) -> None:
        if asked_of(self._wishes.way, self._saved):
            self._show("form", "#check")
            self.query_one(RestoreForm).ask(self._wishes.way)
        else:
            self._choose()

    @on(Button.Pressed, "#start")
    def _ask_to_start(self) -> None:
        if self._proposal is None:
            return
        if self._proposal.plan.way is not RestoreWay.IN_PLACE:
            self._start(wanted=True)
            return
        self.app.push_screen(self._question(self._proposal.plan), self._start)

    def _question(self, plan: RestorePlan) -> ConfirmScreen:
        """What is asked before a guest's own images are replaced."""
        what, consequence = plan.guest, "as long as they are there, it can be undone."
        if plan.chosen:
            what = f"only {', '.join(disk.name for disk in plan.disks)} of {plan.guest}"
            consequence = "that can be undone. What it writes to its other disks from then on cannot."
        return ConfirmScreen(
            printable(f"Put {what} back to {when(self._found)}?"),
            printable(f"Its present images are moved aside, not deleted; {consequence}"),
            yes=printable("Restore in place"),
            no=printable("Leave it as it is"),
        )

    def _start(self, wanted: bool | None) -> None:
        if self._proposal is None or not wanted:
            return
        try:
            run = launch(self._proposal.plan, self._worker_argv)
        except OSError as error:
            self._trouble(Explained("The restore's process could not be started", cause=str(error)))
            return
        self.app.push_screen(RestoreRunScreen(run, self._worker_argv[:-1], read_only=self._read_only), self._ended)

    def _ended(self, broken: tuple[str, ...] | None) -> None:
        """Back from the restore; with the disks to restore although they are broken, plan once more."""
        self._reread()
        if broken:
            self._wishes = replace(self._wishes, accepted=(*self._wishes.accepted, *broken))
            self._propose()
        else:
            self._choose()

    def action_scroll(self, pages: int) -> None:
        """Scroll what is shown, wherever the focus is."""
        for scroll in self.query(VerticalScroll):
            if scroll.display and scroll.is_on_screen:
                scroll.scroll_relative(y=pages * (scroll.size.height - 1), animate=False)

    def action_back(self) -> None:
        """One step back; from the first page, to the list of backups."""
        if self.query_one(ContentSwitcher).current == "choose":
            self.dismiss()
        else:
            self._choose()

    async def leave(self) -> None:
        """To the list of backups, from any step; nothing has happened yet."""
        self.dismiss()


def _expanded(place: str) -> str:
    """A place as it was typed, with ~ for the home folder and a / at its end kept; raises ExplainedError."""
    at_end = "/" if place.endswith("/") else ""
    return f"{typed_path(place)}{at_end}" if place else ""
