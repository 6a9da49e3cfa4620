"""The steps of a backup, each with glyph, bar, bytes, rate and time left; per disk where there are several."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tui.backup.progress import StepStatus
from tui.backup.runstate import DiskProgress, RunState, StepState
from tui.backup.telling import STATUS_GLYPHS, STEP_WORDS, fraction, step_facts
from tui.model.quantities import size
from tui.model.text import printable
from tui.widgets.tones import styles_of

NAME_WIDTH = 23
BAR_WIDTH = 16
BELOW = "  "
"""Before facts that have a line of their own."""
ROOMY = 76
"""Columns from which a disk's bar stands below its step's."""
NARROW_NAME_WIDTH = 6
WIDE = 200
"""Columns, while the widget has no size yet."""
STATUS_TONES: dict[StepStatus, str] = {
    StepStatus.PENDING: "muted",
    StepStatus.RUNNING: "primary",
    StepStatus.DONE: "success",
    StepStatus.FAILED: "error",
}


class StepBars(Static):
    """Draws a `RunState`; where the terminal is narrow, long facts have a line of their own below their bar."""

    _state: RunState | None = None

    def show(self, state: RunState) -> None:
        """Draw the next state."""
        self._state = state
        styles = styles_of(self.app.theme_variables)
        text = Text()
        for step in state.steps:
            _append_step(text, state, step, styles, self.size.width or WIDE)
        self.update(text)

    def on_resize(self) -> None:
        """Draw anew, for other facts may fit now."""
        if self._state is not None:
            self.show(self._state)


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of blocks, `width` cells long; full only where all is done."""
    filled = min(int(share * width), width)
    return "█" * filled + "░" * (width - filled)


def _append_step(text: Text, state: RunState, step: StepState, styles: dict[str, str], width: int) -> None:
    style = styles[STATUS_TONES[step.status]]
    text.append(f"{STATUS_GLYPHS[step.status]} {STEP_WORDS[step.step]:<{NAME_WIDTH}}", style)
    share = fraction(step)
    if share is not None and step.status is not StepStatus.PENDING:
        text.append(bar(share), style)
        text.append(f" {int(share * 100):3d} %  ")
    facts = printable(step_facts(state, step))
    if _column(text) + len(facts) > width and _column(text) > len(BELOW):
        text.append("\n" + BELOW)
    text.append(f"{facts}\n")
    if step.status is StepStatus.RUNNING and len(step.disks) > 1:
        for disk in step.disks:
            _append_disk(text, disk, width)


def _column(text: Text) -> int:
    """Where the last line of a text ends."""
    return len(text.plain) - text.plain.rfind("\n") - 1


def _append_disk(text: Text, disk: DiskProgress, width: int) -> None:
    share = min(disk.done / disk.total, 1.0) if disk.total else 0.0
    name_width = NAME_WIDTH - 2 if width >= ROOMY else NARROW_NAME_WIDTH
    text.append(f"    {printable(disk.target, 10):<{name_width}}{bar(share)} {int(share * 100):3d} %  ", "dim")
    text.append(f"{size(disk.done)} of {size(disk.total)}\n" if disk.total else "waits for its turn\n", "dim")
