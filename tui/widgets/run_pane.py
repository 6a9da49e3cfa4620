"""A run on the screen, backup or restore: headline, steps with bars, overlays, and what came of it."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.backup.journal import RunStage
from tui.backup.restore.plan import RestoreWay
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, RunState
from tui.backup.telling import headline, overlay_facts
from tui.model.text import printable
from tui.widgets.step_bars import StepBars
from tui.widgets.tones import styles_of

AFTERWARDS: dict[RestoreWay, str] = {
    RestoreWay.CLONE: (
        "Start it with p in the list of guests. Once its addresses are changed, raise its links:\n"
        "virsh domiflist GUEST, then virsh domif-setlink GUEST INTERFACE up."
    ),
    RestoreWay.IN_PLACE: "Start it with p in the list of guests, and look. Undo puts back what it had before.",
    RestoreWay.DISK: "The backup itself is as it was.",
    RestoreWay.ATTACH: (
        "In the guest, lsblk -o NAME,SERIAL tells which it is. Mount it read-only: mount -o ro,noload /dev/NAME /mnt\n"
        "(XFS: ro,norecovery,nouuid). Unmount it before undo takes it away again."
    ),
    RestoreWay.BOOT_TEST: "The result is kept beside the backup, and shown in the list of backups.",
}
"""What to do next once a restore is done."""


class RunPane(VerticalScroll):
    """Draws a `RunState`, and below it what to do next; what comes before its parts are there waits for them."""

    _state: RunState | None = None

    def compose(self) -> ComposeResult:
        """The four parts."""
        yield Static(id="headline")
        yield StepBars(id="bars")
        yield Static(id="overlays")
        yield Static(id="outcome")

    def on_mount(self) -> None:
        """Draw what came before."""
        if self._state is not None:
            self.show(self._state)

    def show(self, state: RunState) -> None:
        """Draw the next state."""
        self._state = state
        if not self.query(StepBars):
            return
        styles = styles_of(self.app.theme_variables)
        self.query_one("#headline", Static).update(Text(f"{printable(headline(state))}\n", "bold"))
        self.query_one(StepBars).show(state)
        lines = "\n".join(printable(line) for line in overlay_facts(state))
        self.query_one("#overlays", Static).update(Text(lines, "dim"))
        self.query_one("#outcome", Static).update(_outcome(state, styles))


def _outcome(state: RunState, styles: dict[str, str]) -> Text:
    text = Text()
    if state.error is not None:
        text.append(f"\n✗ {printable(state.error.title)}\n", styles["error"])
        for words in (state.error.cause, state.error.next_step):
            if words:
                text.append(f"  {printable(words)}\n")
    for shortfall in state.shortfalls:
        text.append(f"\n! {printable(shortfall)}\n", styles["warning"])
    if state.exit_code in (EXIT_DONE, EXIT_LESS):
        _append_result(text, state, styles)
    elif not state.ended:
        text.append("\nThis goes on when you leave the screen or the program.\n", "dim")
    return text


def _append_result(text: Text, state: RunState, styles: dict[str, str]) -> None:
    if state.way is None:
        text.append(f"\nSaved in {printable(str(state.result))}\n", styles["success"])
        text.append("How to restore: R, here or in the list of guests, or RESTORE.md in that folder.\n", "dim")
    elif state.stage is not RunStage.UNDONE:
        text.append(f"\n{AFTERWARDS[state.way]}\n")
