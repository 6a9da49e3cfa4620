"""Disks to choose from, whose marks are told apart without colours too."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widgets import SelectionList


class DiskList(SelectionList[str]):
    """A list of disks by their targets; only a chosen one has a mark in its box."""

    def on_focus(self) -> None:
        """A key acts on the disk that is highlighted: there is one."""
        if self.highlighted is None and self.option_count:
            self.highlighted = 0

    def render_line(self, y: int) -> Strip:
        """The line as it is drawn anyway, with an empty box where the disk is not chosen."""
        strip = super().render_line(y)
        at = self.scroll_offset.y + y
        if at >= self.option_count or self.get_option_at_index(at).value in self.selected:
            return strip
        left, mark, *rest = strip
        return Strip([left, Segment(" ", mark.style), *rest])
