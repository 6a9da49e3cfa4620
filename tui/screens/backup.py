"""The backup of one guest: choose, review, watch. The work itself runs in the worker and needs no screen."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, ContentSwitcher, Input, Label, Select, Static

from tui.backup import runs
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.plan import QuiescePolicy
from tui.backup.propose import Proposal, propose
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, RunState
from tui.backup.selection import choices_of
from tui.commands import Where
from tui.hosts.port import Host
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.model.paths import typed_path
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.restore_wanted import want_restore_of
from tui.settings import PRIVATE_FOLDER
from tui.widgets.bindings import bindings
from tui.widgets.changing_button import ChangingButton
from tui.widgets.disk_list import DiskList
from tui.widgets.key_line import KeyLine
from tui.widgets.proposal_text import proposal_text
from tui.widgets.run_pane import RunPane
from tui.widgets.tones import styles_of

POLICY_WORDS: dict[QuiescePolicy, str] = {
    QuiescePolicy.REQUIRED: "Freeze the file systems; without that, no backup",
    QuiescePolicy.PREFERRED: "Freeze if the agent answers, else like pulling the plug",
    QuiescePolicy.OFF: "Do not freeze: like pulling the plug",
}


class BackupScreen(Screen[None]):
    """Shows the guest's running or last backup, or the wizard that begins one."""

    WHERE = Where.BACKUP
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.BACKUP),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
    ]
    HELP = "A backup runs by itself: leave this screen, the program or the terminal, and it goes on to its end."

    def __init__(
        self,
        host: Host,
        guest: Guest,
        worker_argv: tuple[str, ...],
        folder: Path,
        run: runs.Run | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        super().__init__()
        self._host = host
        self._guest = guest
        self._worker_argv = worker_argv
        self._read_only = read_only
        self._folder = folder
        self._proposal: Proposal | None = None
        self._run = run
        self._to_make: Path | None = None
        self._accepted: tuple[str, ...] = ()
        self._saved: Path | None = None

    def compose(self) -> ComposeResult:
        """The three parts, one at a time."""
        yield Static(Text(f"Backup of {printable(self._guest.name, 60)}"), id="title")
        with ContentSwitcher(initial="waiting"):
            yield Static(Text("Looking for backups of this guest …"), id="waiting")
            with VerticalScroll(id="choose"):
                yield Label("Folder to keep it in")
                yield Input(str(self._folder), id="folder")
                yield Label("Disks")
                yield DiskList(*self._disk_choices(), id="disks")
                yield Static(self._left_out(), id="left-out")
                yield Label("At the moment of the snapshot")
                yield Select(
                    [(words, policy) for policy, words in POLICY_WORDS.items()],
                    value=QuiescePolicy.REQUIRED,
                    allow_blank=False,
                    id="policy",
                )
                yield Static(id="trouble")
                yield Button("Check and show the plan", id="check", variant="primary")
            with Vertical(id="review"):
                with VerticalScroll(id="plan-scroll"):
                    yield Static(id="plan")
                with Horizontal(classes="buttons"):
                    yield ChangingButton("Start the backup", id="start", read_only=self._read_only, variant="primary")
                    yield Button("Go without these", id="accept")
                    yield Button("Change", id="change")
            with Vertical(id="run"):
                yield RunPane()
                with Horizontal(classes="buttons"):
                    yield Button("Restore (R)", id="restore")
                    yield ChangingButton("New backup", id="new", read_only=self._read_only)
                    yield ChangingButton("Cancel the backup", id="cancel", read_only=self._read_only)
        yield KeyLine()

    async def on_mount(self) -> None:
        """Show the latest backup of this guest, or begin the wizard."""
        self.query_one("#restore").display = False
        if self._run is not None:
            self._watch(self._run)
            return
        latest = await asyncio.to_thread(runs.runs_of, self._host.name, self._guest.id.uuid)
        if latest:
            self._watch(latest[0])
        else:
            self._choose()

    def _disk_choices(self) -> list[tuple[Text, str, bool]]:
        return [
            (_disk_words(choice.disk.target, choice.disk.format, choice.disk.source), choice.disk.target, True)
            for choice in choices_of(self._guest.facts.disks)
            if choice.possible
        ]

    def _left_out(self) -> Text:
        lines = [
            f"not {choice.disk.target}: {choice.reason}"
            for choice in choices_of(self._guest.facts.disks)
            if not choice.possible
        ]
        return Text("\n".join(printable(line) for line in lines), "dim")

    def _show(self, part: str, focus: str) -> None:
        self.query_one(ContentSwitcher).current = part
        self.query_one(focus).focus()
        self.refresh_bindings()

    def _choose(self) -> None:
        self.query_one("#trouble", Static).update("")
        self._show("choose", "#folder")

    @on(Input.Submitted, "#folder")
    @on(Button.Pressed, "#check")
    def _check(self) -> None:
        self.query_one("#trouble", Static).update(Text("Checking …", "dim"))
        self._propose()

    @work(exclusive=True, group="propose")
    async def _propose(self) -> None:
        chosen = self.query_one("#disks", DiskList).selected
        policy = self.query_one("#policy", Select).value
        try:
            folder = typed_path(self.query_one("#folder", Input).value.strip())
            if await asyncio.to_thread(folder.is_dir):
                self._to_make = None
            elif self._to_make != folder:
                self._to_make = folder
                self._trouble(ExplainedError(f"There is no folder {folder}", next_step="Press enter again to make it."))
                return
            else:
                await asyncio.to_thread(_make_folder, folder)
            facts = await self._host.read_domain(self._guest.id.uuid)
            self._proposal = await propose(
                self._host, facts, folder, chosen, quiesce=QuiescePolicy(str(policy)), accepted=self._accepted
            )
        except ExplainedError as error:
            self._trouble(error)
            return
        plan = self.query_one("#plan", Static)
        plan.update(proposal_text(self._proposal, styles_of(self.app.theme_variables)))
        start = self.query_one("#start", Button)
        start.disabled = not self._proposal.may_begin
        accept = self.query_one("#accept", Button)
        accept.display = self._proposal.waits_for_acceptance
        accept.label = Text(printable(f"Go without {', '.join(self._proposal.red)}", 60))
        self._show("review", "#start" if self._proposal.may_begin else "#change")

    @on(Button.Pressed, "#accept")
    def _accept(self) -> None:
        if self._proposal is not None:
            self._accepted = self._proposal.red
            self._check()

    def _trouble(self, error: ExplainedError) -> None:
        style = styles_of(self.app.theme_variables)["error"]
        self.query_one("#trouble", Static).update(Text(f"✗ {printable(error.one_line())}", style))

    @on(Button.Pressed, "#change")
    @on(Button.Pressed, "#new")
    def _back_to_choosing(self) -> None:
        self._choose()

    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        if self._proposal is None:
            return
        try:
            run = launch(self._proposal.plan, self._worker_argv)
        except OSError as error:
            self._trouble(ExplainedError("The backup's process could not be started", cause=str(error)))
            self._choose()
            return
        self._watch(run)

    @work(exclusive=True, group="follow")
    async def _watch(self, run: runs.Run) -> None:
        self._run = run
        self._show("run", "RunPane")
        async for state in follow(run):
            self._saved = state.result if state.exit_code in (EXIT_DONE, EXIT_LESS) else None
            self._draw_run(state)
            if state.ended:
                self.refresh_bindings()

    def _draw_run(self, state: RunState) -> None:
        self.query_one(RunPane).show(state)
        self.query_one("#restore").display = self._saved is not None
        self.query_one("#cancel").display = not state.ended
        self.query_one("#new").display = state.ended

    @on(Button.Pressed, "#cancel")
    def _ask_to_cancel(self) -> None:
        question = ConfirmScreen(
            printable(f"Cancel the backup of {self._guest.name}?"),
            printable("The guest's writes are merged back into its disks; the copy made so far is given up."),
            yes=printable("Cancel the backup"),
            no=printable("Let it run"),
        )
        self.app.push_screen(question, self._cancel)

    def _cancel(self, wanted: bool | None) -> None:
        if wanted and self._run is not None:
            runs.cancel(self._run, signal.SIGTERM)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Restoring is offered while a finished backup is shown."""
        shows_run = self.is_mounted and self.query_one(ContentSwitcher).current == "run"
        return action != "restore" or (shows_run and self._saved is not None)

    @on(Button.Pressed, "#restore")
    @work(exclusive=True, group="restore")
    async def action_restore(self) -> None:
        """What can be done with the backup that is shown."""
        if self._saved is not None:
            await want_restore_of(self, self._saved)

    def action_scroll(self, pages: int) -> None:
        """Scroll what is shown, wherever the focus is."""
        for scroll in self.query(VerticalScroll):
            if scroll.display and scroll.is_on_screen:
                scroll.scroll_relative(y=pages * (scroll.size.height - 1), animate=False)

    def action_back(self) -> None:
        """One step back; from the first one, to the list."""
        if self.query_one(ContentSwitcher).current == "review":
            self._choose()
        else:
            self.dismiss()


def _make_folder(folder: Path) -> None:
    """Make the folder itself; one whose parent is missing was mistyped, or waits for its mount."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except OSError as error:
        raise ExplainedError(
            f"The folder {folder} cannot be made",
            cause=error.strerror or "",
            next_step="Choose another one, or mount what belongs there.",
            original=str(error),
        ) from error


def _disk_words(target: str, image_format: str, source: str) -> Text:
    return Text(printable(f"{target}  {image_format}  {source}", 200), no_wrap=True, overflow="ellipsis")
