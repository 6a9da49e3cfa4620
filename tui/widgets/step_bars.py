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
STATUS_TONES: dict[StepStatus, str] = {
    StepStatus.PENDING: "muted",
    StepStatus.RUNNING: "primary",
    StepStatus.DONE: "success",
    StepStatus.FAILED: "error",
}


class StepBars(Static):
    """Draws a `RunState`."""

    def show(self, state: RunState) -> None:
        """Draw the next state."""
        styles = styles_of(self.app.theme_variables)
        text = Text(no_wrap=True, overflow="ellipsis")
        for step in state.steps:
            _append_step(text, state, step, styles)
        self.update(text)


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of blocks, `width` cells long; full only where all is done."""
    filled = min(int(share * width), width)
    return "█" * filled + "░" * (width - filled)


def _append_step(text: Text, state: RunState, step: StepState, styles: dict[str, str]) -> None:
    style = styles[STATUS_TONES[step.status]]
    text.append(f"{STATUS_GLYPHS[step.status]} {STEP_WORDS[step.step]:<{NAME_WIDTH}}", style)
    share = fraction(step)
    if share is not None and step.status is not StepStatus.PENDING:
        text.append(bar(share), style)
        text.append(f" {int(share * 100):3d} %  ")
    text.append(printable(step_facts(state, step)))
    text.append("\n")
    if step.status is StepStatus.RUNNING and len(step.disks) > 1:
        for disk in step.disks:
            _append_disk(text, disk)


def _append_disk(text: Text, disk: DiskProgress) -> None:
    share = min(disk.done / disk.total, 1.0) if disk.total else 0.0
    text.append(f"    {printable(disk.target, 10):<{NAME_WIDTH - 2}}{bar(share)} {int(share * 100):3d} %  ", "dim")
    text.append(f"{size(disk.done)} of {size(disk.total)}\n", "dim")
