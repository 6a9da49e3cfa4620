"""A restore that runs or has ended: its steps, what came of it, and what may be done next."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Button, Static

from tui.backup.errand import errand_log, run_errand
from tui.backup.follow import follow
from tui.backup.proof_note import read_note
from tui.backup.restore.settle import undoable_restore
from tui.backup.restore.verifying import OTHER_FILES
from tui.backup.runs import RestoreRun
from tui.backup.runstate import RunState
from tui.model.command import Where
from tui.model.text import printable
from tui.screens.cancel import ask_to_cancel
from tui.screens.confirm import ConfirmScreen
from tui.screens.line import LineScreen
from tui.widgets.bindings import bindings, is_refused
from tui.widgets.changing_button import ChangingButton
from tui.widgets.key_line import KeyLine
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.run_pane import RunPane, afterwards


class RestoreRunScreen(Screen[tuple[str, ...]], EndsWorkersFirst):
    """Follows a restore; dismissed with what is broken and wanted all the same, mostly nothing.

    Undoing is done by `argv`, a process of its own, and goes on when the screen is left.
    """

    WHERE = Where.RESTORE_RUN
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.RESTORE_RUN),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
    ]
    HELP = "A restore runs by itself: leave this screen, the program or the terminal, and it goes on to its end."

    def __init__(
        self, run: RestoreRun, argv: tuple[str, ...], *, may_insist: bool = True, read_only: bool = False
    ) -> None:
        """`may_insist` is whether the one who hears of what is broken can plan anew."""
        super().__init__()
        self._run = run
        self._argv = argv
        self._read_only = read_only
        self._may_insist = may_insist
        self._broken: tuple[str, ...] = ()
        self._may_undo = False

    def compose(self) -> ComposeResult:
        """The run, and the buttons that make sense now."""
        plan = self._run.plan
        yield Static(
            Text(f"Restore of {printable(plan.source, 40)}, {plan.way}: {printable(plan.guest, 40)}"), id="title"
        )
        yield RunPane(afterwards(plan))
        with Horizontal(classes="buttons"):
            yield ChangingButton("Cancel the restore", id="cancel", read_only=self._read_only)
            yield ChangingButton("Restore it all the same", id="insist", read_only=self._read_only)
            yield Button("Back", id="done")
            yield ChangingButton("Undo the restore (u)", id="undo", read_only=self._read_only)
        yield KeyLine()

    def on_mount(self) -> None:
        """Follow it."""
        for name in ("cancel", "insist", "undo", "done"):
            self.query_one(f"#{name}").display = False
        self.query_one(RunPane).focus()
        self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        async for state in follow(self._run):
            if state.ended:
                self._broken = await asyncio.to_thread(self._found_broken, state)
                self._may_undo = await asyncio.to_thread(self._is_undoable)
                self.refresh_bindings()
            self._draw(state)

    def _found_broken(self, state: RunState) -> tuple[str, ...]:
        """What of the plan the verification found broken, but for what was accepted before."""
        note = read_note(Path(self._run.plan.folder))
        if state.error is None or note is None or note.good:
            return ()
        plan = self._run.plan
        names = (*note.broken, *((OTHER_FILES,) if note.others and plan.defines else ()))
        wanted = {*(disk.name for disk in plan.disks), OTHER_FILES} - set(plan.accepted)
        return tuple(name for name in names if name in wanted)

    def _is_undoable(self) -> bool:
        return undoable_restore(self._run.plan.folder) == self._run

    def _draw(self, state: RunState) -> None:
        self.query_one(RunPane).show(state)
        self.query_one("#cancel").display = not state.ended and state.cancelling_since is None
        self.query_one("#insist").display = bool(self._broken) and self._may_insist
        self.query_one("#undo").display = state.ended and self._may_undo
        done = self.query_one("#done")
        if state.ended and not done.display:
            done.display = True
            done.focus()

    @on(Button.Pressed, "#insist")
    def _ask_to_insist(self) -> None:
        names = " ".join(self._broken)

        def insist(typed: str | None) -> None:
            if typed == names:
                self.dismiss(self._broken)
            elif typed:
                self.notify("That is not what was asked for.", severity="warning", markup=False)

        words = f"{names} is not what was saved: the guest may not start, or lack data. Type  {names}  to go on."
        self.app.push_screen(LineScreen(printable(words)), insist)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Undoing is offered only while it can be done, and shown as disabled in read-only mode."""
        if action == "undo" and self._may_undo and is_refused(Where.RESTORE_RUN, action, read_only=self._read_only):
            return None
        return action != "undo" or self._may_undo

    @on(Button.Pressed, "#undo")
    def action_undo(self) -> None:
        """Put back what the restore replaced, once the user has said so."""
        question = ConfirmScreen(
            printable(f"Undo the restore of {self._run.plan.guest}?"),
            printable("It gets back what it had before. It has to be off if its disks were replaced."),
            yes=printable("Undo it"),
            no=printable("Leave it"),
        )
        self.app.push_screen(question, self._undo)

    def _undo(self, wanted: bool | None) -> None:
        if wanted:
            self._may_undo = False
            self.refresh_bindings()
            self.query_one("#undo").display = False
            self.query_one("#done").focus()
            self.query_one("#outcome", Static).update(Text("\nPutting back what was there before …"))
            self._run_undo()

    @work(exclusive=True, group="undo")
    async def _run_undo(self) -> None:
        plan = self._run.plan
        argv = (*self._argv, "-c", plan.uri, "restore", plan.folder, "--undo", "--json")
        try:
            ended = await run_errand(argv, errand_log(plan.run_id))
            words = (ended.said.strip() or "It said nothing.") if ended.code else ""
        except OSError as error:
            words = str(error)
        if words:
            self.notify(printable(words), title="Not undone", severity="error", markup=False, timeout=15)
        self._follow()

    @on(Button.Pressed, "#cancel")
    def _ask_to_cancel(self) -> None:
        ask_to_cancel(self.app, self._run)

    def action_scroll(self, pages: int) -> None:
        """Scroll the run, wherever the focus is."""
        pane = self.query_one(RunPane)
        pane.scroll_relative(y=pages * (pane.size.height - 1), animate=False)

    def action_scroll_lines(self, count: int) -> None:
        """The same by lines, where what has the focus has no use for the key."""
        self.query_one(RunPane).scroll_relative(y=count, animate=False)

    @on(Button.Pressed, "#done")
    def action_back(self) -> None:
        """Back; a running restore runs on."""
        self.dismiss(())
