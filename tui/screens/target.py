"""What the backup of one guest and that of several have in common: where to, with or without a freeze, step by step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, ContentSwitcher, Input, Label, Select, Static

from tui.backup.last_target import last_target
from tui.backup.plan import QuiescePolicy
from tui.model.command import Where
from tui.model.errors import ExplainedError
from tui.model.paths import typed_path
from tui.model.text import printable
from tui.settings import PRIVATE_FOLDER
from tui.widgets.bindings import bindings
from tui.widgets.changing_button import ChangingButton
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.tones import styles_of

POLICY_WORDS: dict[QuiescePolicy, str] = {
    QuiescePolicy.REQUIRED: "Freeze the file systems; without that, no backup",
    QuiescePolicy.PREFERRED: "Freeze if the agent answers, else like pulling the plug",
    QuiescePolicy.OFF: "Do not freeze: like pulling the plug",
}
KEYS = "Enter in the first line checks at once and changes nothing; tab goes on, space ticks a disk."


class TargetScreen(Screen[bool], EndsWorkersFirst):
    """Leads from the choice of a target to the review of a plan; who inherits from it plans and begins.

    Dismissed with whether a backup was `begun`.
    """

    WHERE = Where.BACKUP
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.BACKUP),
        Binding("pageup", "scroll(-1)", show=False, priority=True),
        Binding("pagedown", "scroll(1)", show=False, priority=True),
        Binding("up", "scroll_lines(-1)", show=False),
        Binding("down", "scroll_lines(1)", show=False),
    ]
    HELP = "A backup runs by itself: leave this screen, the program or the terminal, and it goes on to its end."

    def __init__(
        self, folder: Path, host_names: Collection[str], *, read_only: bool = False, overlays: Path | None = None
    ) -> None:
        """`folder` is offered unless a backup of one of the hosts went to another one last time.

        `overlays` is offered as the folder for overlays, None being beside the images.
        """
        super().__init__()
        self.read_only = read_only
        self._folder = folder
        self._overlays = overlays
        self.begun = False
        self._last = next((last for name in host_names if (last := last_target(name)) is not None), None)
        self._to_make: Path | None = None

    def choosing(self, what: Sequence[Widget]) -> ComposeResult:
        """The choice: folder, `what` is backed up, freeze, and what was wrong with it."""
        with VerticalScroll(id="choose"):
            yield Label(
                "Folder to keep it in" if self._last is None else "Folder to keep it in; offered is the last backup's"
            )
            yield Input(str(self._last or self._folder), id="folder")
            yield from what
            yield Label("At the moment of the snapshot")
            yield Select(
                [(words, policy) for policy, words in POLICY_WORDS.items()],
                value=QuiescePolicy.REQUIRED,
                allow_blank=False,
                id="policy",
            )
            yield Label("Folder for what the guest writes meanwhile; empty: beside its images, where they are files")
            yield Input(str(self._overlays or ""), id="overlays")
            yield Static(id="trouble")
            yield Button("Check and show the plan", id="check", variant="primary")
            yield Static(Text(KEYS, "dim"), id="keys")

    def reviewing(self) -> ComposeResult:
        """The plan, and what can be done about it."""
        with Vertical(id="review"):
            with VerticalScroll(id="plan-scroll"):
                yield Static(id="plan")
            with Horizontal(classes="buttons"):
                yield ChangingButton("Start the backup", id="start", read_only=self.read_only, variant="primary")
                yield Button("Go without these", id="accept")
                yield Button("Change", id="change")

    def overlays_folder(self) -> Path | None:
        """The folder for overlays that was typed, None without one; raises ExplainedError where it cannot be one."""
        typed = self.query_one("#overlays", Input).value.strip()
        return typed_path(typed) if typed else None

    async def plan_it(self, folder: Path, policy: QuiescePolicy) -> None:
        """Look what would be done, and show that for review; raises ExplainedError."""
        raise NotImplementedError

    def show(self, part: str, focus: str) -> None:
        """Show one of the parts."""
        self.query_one(ContentSwitcher).current = part
        self.query_one(focus).focus()
        self.refresh_bindings()

    def choose(self) -> None:
        """Back to the choice."""
        self.query_one("#trouble", Static).update("")
        self.show("choose", "#folder")

    def review(self, plan: Text, start: str, without: str) -> None:
        """Show a plan; `start` and `without` are what the buttons say, a button without words being of no use now."""
        self.query_one("#plan", Static).update(plan)
        begin = self.query_one("#start", Button)
        begin.disabled = not start
        if start and not self.read_only:
            begin.label = Text(printable(start, 40))
        accept = self.query_one("#accept", Button)
        accept.display = bool(without)
        accept.label = Text(printable(without, 60))
        self.query_one("#plan-scroll").scroll_home(animate=False)
        self.show("review", "#start" if start else "#change")

    def doing(self, words: str) -> None:
        """Say what takes its time."""
        self.query_one("#trouble", Static).update(Text(printable(words), "dim"))

    def trouble(self, error: ExplainedError) -> None:
        """Say what is wrong with the choice."""
        style = styles_of(self.app.theme_variables)["error"]
        self.query_one("#trouble", Static).update(Text(f"✗ {printable(error.one_line())}", style))

    @on(Input.Submitted, "#folder")
    @on(Input.Submitted, "#overlays")
    @on(Button.Pressed, "#check")
    def check(self) -> None:
        """Plan what is chosen."""
        if self.query_one(ContentSwitcher).current != "choose":
            self.show("choose", "#check")
        self.doing("Checking …")
        self._check()

    @work(exclusive=True, group="propose")
    async def _check(self) -> None:
        policy = QuiescePolicy(str(self.query_one("#policy", Select).value))
        try:
            folder = await self._ready_folder()
            if folder is not None:
                await self.plan_it(folder, policy)
        except ExplainedError as error:
            self.choose()
            self.trouble(error)

    async def _ready_folder(self) -> Path | None:
        """The folder that was typed, made if the user said so twice; None where that is still asked."""
        folder = typed_path(self.query_one("#folder", Input).value.strip())
        if not await asyncio.to_thread(folder.is_dir):
            await asyncio.to_thread(_refuse_hopeless, folder)
            if self._to_make != folder:
                self._to_make = folder
                self.trouble(ExplainedError(f"There is no folder {folder}", next_step="Press enter again to make it."))
                return None
            await asyncio.to_thread(_make_folder, folder)
        self._to_make = None
        return folder

    @on(Button.Pressed, "#change")
    def _change(self) -> None:
        self.choose()

    def action_scroll(self, pages: int) -> None:
        """Scroll what is shown, wherever the focus is."""
        for scroll in self._shown_scrolls():
            scroll.scroll_relative(y=pages * (scroll.size.height - 1), animate=False)

    def action_scroll_lines(self, count: int) -> None:
        """The same by lines, where what has the focus has no use for the key."""
        for scroll in self._shown_scrolls():
            scroll.scroll_relative(y=count, animate=False)

    def _shown_scrolls(self) -> list[VerticalScroll]:
        return [scroll for scroll in self.query(VerticalScroll) if scroll.display and scroll.is_on_screen]

    def action_back(self) -> None:
        """One step back; from the first one, to the list."""
        if self.query_one(ContentSwitcher).current == "review":
            self.choose()
        else:
            self.dismiss(self.begun)

    async def leave(self) -> None:
        """To the list, from any step."""
        self.dismiss(self.begun)


def _refuse_hopeless(folder: Path) -> None:
    """Raises ExplainedError where it makes no sense to offer to make the folder."""
    if os.path.lexists(folder):
        raise ExplainedError(f"{folder} is no folder", next_step="Choose another one.")
    if not folder.parent.is_dir():
        # It was mistyped, or waits for its mount, and must not come to be beside that.
        raise ExplainedError(
            f"There is no folder {folder.parent} to make {folder.name} in",
            next_step="Mount what belongs there, make it, or choose another one.",
        )


def _make_folder(folder: Path) -> None:
    """Make the folder itself, with no other one above it."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER)
    except OSError as error:
        raise ExplainedError(
            f"The folder {folder} cannot be made",
            cause=error.strerror or "",
            next_step="Choose another one.",
            original=str(error),
        ) from error
