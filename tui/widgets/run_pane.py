"""A run on the screen, backup or restore: headline, steps with bars, overlays, and what came of it."""

from __future__ import annotations

from shlex import quote

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.backup.journal import RunStage
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, RunState
from tui.backup.telling import headline, overlay_facts, result_facts
from tui.model.text import printable
from tui.widgets.step_bars import StepBars
from tui.widgets.tones import styles_of

_AFTERWARDS: dict[RestoreWay, str] = {
    RestoreWay.IN_PLACE: "Start it with p in the list of guests, and look. Undo puts back what it had before.",
    RestoreWay.DISK: "The backup itself is as it was.",
    RestoreWay.ATTACH: (
        "In the guest, lsblk -o NAME,SERIAL tells which it is. Mount it read-only: mount -o ro,noload /dev/NAME /mnt\n"
        "(XFS: ro,norecovery,nouuid). Unmount it before undo takes it away again."
    ),
    RestoreWay.BOOT_TEST: "The result is kept beside the backup, and shown in the list of backups.",
}


def afterwards(plan: RestorePlan) -> str:
    """What to do next once a restore is done, in lines; its commands can be pasted."""
    if plan.way is not RestoreWay.CLONE:
        return _AFTERWARDS[plan.way]
    start = "Start it with p in the list of guests."
    if not plan.link_down:
        return start
    virsh, guest = f"virsh -c {quote(plan.uri)}", quote(plan.guest)
    return (
        f"{start} Once its addresses are changed, list its interfaces and raise the link of each:\n"
        f"  {virsh} domiflist {guest}\n"
        f"  {virsh} domif-setlink {guest} INTERFACE up"
    )


class RunPane(VerticalScroll):
    """Draws a `RunState`; what comes before its parts are there waits for them.

    `next_words` are lines on what to do once a restore is done.
    """

    _state: RunState | None = None

    def __init__(self, next_words: str = "") -> None:
        super().__init__()
        self._next_words = next_words

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
        self.query_one("#outcome", Static).update(_outcome(state, self._next_words, styles))


def _outcome(state: RunState, next_words: str, styles: dict[str, str]) -> Text:
    text = Text()
    if state.error is not None:
        text.append(f"\n✗ {printable(state.error.title)}\n", styles["error"])
        for words in (state.error.cause, state.error.next_step):
            if words:
                text.append(f"  {printable(words)}\n")
    for shortfall in state.shortfalls:
        text.append(f"\n! {printable(shortfall)}\n", styles["warning"])
    if state.exit_code in (EXIT_DONE, EXIT_LESS):
        _append_result(text, state, next_words, styles)
    elif not state.ended:
        text.append("\nThis goes on when you leave the screen or the program.\n", "dim")
    return text


def _append_result(text: Text, state: RunState, next_words: str, styles: dict[str, str]) -> None:
    if state.way is None:
        text.append(f"\nSaved in {printable(str(state.result))}\n", styles["success"])
        if facts := result_facts(state):
            text.append(f"{printable(facts)}\n")
        text.append("How to restore: R, here or in the list of guests, or RESTORE.md in that folder.\n", "dim")
    elif state.stage is not RunStage.UNDONE:
        lines = "\n".join(printable(line) for line in next_words.splitlines())
        text.append(f"\n{lines}\n")
