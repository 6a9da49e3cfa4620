"""The backup of one guest: choose, review, watch. The work itself runs in the worker and needs no screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, ContentSwitcher, Label, Static

from tui.backup import runs
from tui.backup.follow import follow
from tui.backup.last_target import keep_target
from tui.backup.launch import launch
from tui.backup.plan import QuiescePolicy
from tui.backup.propose import Proposal, propose
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, RunState
from tui.backup.selection import choices_of
from tui.hosts.port import Host
from tui.model.command import Where
from tui.model.disk import Disk
from tui.model.errors import ExplainedError
from tui.model.guest import Guest
from tui.model.text import printable
from tui.screens.cancel import ask_to_cancel
from tui.screens.restore_wanted import want_restore_of
from tui.screens.steering import ORDERS, ask_for_rate, ask_to_settle, orders_for
from tui.screens.target import TargetScreen
from tui.widgets.bindings import is_refused
from tui.widgets.changing_button import ChangingButton
from tui.widgets.disk_list import DiskList
from tui.widgets.key_line import KeyLine
from tui.widgets.proposal_text import proposal_text
from tui.widgets.run_pane import RunPane
from tui.widgets.tones import styles_of


class BackupScreen(TargetScreen):
    """Shows the guest's running or last backup, or the wizard that begins one."""

    def __init__(
        self,
        host: Host,
        guest: Guest,
        worker_argv: tuple[str, ...],
        folder: Path,
        run: runs.Run | None = None,
        *,
        read_only: bool = False,
        overlays: Path | None = None,
    ) -> None:
        super().__init__(folder, (host.name,), read_only=read_only, overlays=overlays)
        self._host = host
        self._guest = guest
        self._worker_argv = worker_argv
        self._proposal: Proposal | None = None
        self._run = run
        self._state: RunState | None = None
        self._accepted: tuple[str, ...] = ()
        self._saved: Path | None = None

    def compose(self) -> ComposeResult:
        """The three parts, one at a time."""
        yield Static(Text(f"Backup of {printable(self._guest.name, 60)}"), id="title")
        with ContentSwitcher(initial="waiting"):
            yield Static(Text("Looking for backups of this guest …"), id="waiting")
            yield from self.choosing(
                (
                    Label("Disks"),
                    DiskList(id="disks"),
                    Static(id="left-out"),
                )
            )
            yield from self.reviewing()
            with Vertical(id="run"):
                yield RunPane()
                with Horizontal(classes="buttons"):
                    yield Button("Restore (R)", id="restore")
                    yield ChangingButton("New backup", id="new", read_only=self.read_only)
                    yield ChangingButton("Cancel the backup (c)", id="cancel", read_only=self.read_only)
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
            self._offer()

    @on(Button.Pressed, "#new")
    @work(exclusive=True, group="offer")
    async def _offer(self) -> None:
        """Offer the guest's disks as they are now: while a backup ran, they were others."""
        trouble: ExplainedError | None = None
        disks = self._guest.facts.disks
        try:
            disks = (await self._host.read_domain(self._guest.id.uuid)).disks
        except ExplainedError as error:
            trouble = error
        choices = choices_of(disks)
        offered = self.query_one("#disks", DiskList)
        offered.clear_options()
        offered.add_options([(_disk_words(each.disk), each.disk.target, True) for each in choices if each.possible])
        lines = [printable(f"not {each.disk.target}: {each.reason}") for each in choices if not each.possible]
        self.query_one("#left-out", Static).update(Text("\n".join(lines), "dim"))
        self.choose()
        if trouble is not None:
            self.trouble(trouble)

    async def plan_it(self, folder: Path, policy: QuiescePolicy) -> None:
        """Plan the backup of the chosen disks; raises ExplainedError."""
        offered = self.query_one("#disks", DiskList)
        # With every disk ticked, one that turns out unfit can be gone without, by its name.
        chosen = offered.selected if len(offered.selected) < offered.option_count else None
        facts = await self._host.read_domain(self._guest.id.uuid)
        proposal = await propose(
            self._host,
            facts,
            folder,
            chosen,
            quiesce=policy,
            accepted=self._accepted,
            overlays=self.overlays_folder(),
        )
        self._proposal = proposal
        self.review(
            proposal_text(proposal, styles_of(self.app.theme_variables)),
            "Start the backup" if proposal.may_begin else "",
            f"Go without {', '.join(proposal.red)}" if proposal.waits_for_acceptance else "",
        )

    @on(Button.Pressed, "#accept")
    def _accept(self) -> None:
        if self._proposal is not None:
            self._accepted = self._proposal.red
            self.check()

    @on(Button.Pressed, "#start")
    def _start(self) -> None:
        if self._proposal is None:
            return
        try:
            run = launch(self._proposal.plan, self._worker_argv)
        except OSError as error:
            self.choose()
            self.trouble(ExplainedError("The backup's process could not be started", cause=str(error)))
            return
        self.begun = True
        keep_target((self._host.name,), Path(run.plan.target))
        self._watch(run)

    @work(exclusive=True, group="follow")
    async def _watch(self, run: runs.Run) -> None:
        self._run, self._state = run, None
        self.show("run", "RunPane")
        async for state in follow(run):
            self._saved = state.result if state.exit_code in (EXIT_DONE, EXIT_LESS) else None
            self._draw_run(state)

    def _draw_run(self, state: RunState) -> None:
        has_just_ended = state.ended and (self._state is None or not self._state.ended)
        before, self._state = orders_for(self._state), state
        if before != orders_for(state):
            self.refresh_bindings()
        self.query_one(RunPane).show(state)
        self.query_one("#restore").display = self._saved is not None
        self.query_one("#cancel").display = "cancel" in orders_for(state)
        self.query_one("#new").display = state.ended
        if has_just_ended:
            self._focus_what_comes_next()

    def _focus_what_comes_next(self) -> None:
        """After a backup, what can be done with it; where there is none, another one."""
        names = ("#new",) if self._saved is None else ("#restore", "#new")
        usable = [button for name in names if not (button := self.query_one(name)).disabled]
        (usable[0] if usable else self.query_one(RunPane)).focus()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Ask whether to end the backup that is shown."""
        if self._run is not None and self._state is not None and "cancel" in orders_for(self._state):
            ask_to_cancel(self.app, self._run, waits=bool(self._state.waits_behind))

    def action_limit(self) -> None:
        """Ask for another rate of the copy."""
        if self._run is not None and "limit" in orders_for(self._state):
            ask_for_rate(self.app, self._run)

    def action_settle(self) -> None:
        """Ask whether to pause the guest until its disks are merged."""
        if self._run is not None and "settle" in orders_for(self._state):
            ask_to_settle(self.app, self._run)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A run that is shown takes orders until it has ended, and can be restored afterwards."""
        if action not in ORDERS and action != "restore":
            return True
        if not self.is_mounted or self.query_one(ContentSwitcher).current != "run" or self._state is None:
            return False
        if action == "restore":
            return self._saved is not None
        refused = is_refused(Where.BACKUP, action, read_only=self.read_only)
        return action in orders_for(self._state) and (None if refused else True)

    @on(Button.Pressed, "#restore")
    @work(exclusive=True, group="restore")
    async def action_restore(self) -> None:
        """What can be done with the backup that is shown."""
        if self._saved is not None:
            await want_restore_of(self, self._saved)


def _disk_words(disk: Disk) -> Text:
    return Text(printable(f"{disk.target}  {disk.format}  {disk.source}", 200), no_wrap=True, overflow="ellipsis")
