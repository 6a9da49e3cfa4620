"""The keys of a screen in its last row: as many as fit whole, and always the way out and the way to the rest."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

HELP_ACTION, QUIT_ACTION = "help", "quit"
_PADDING = 2
"""Cells between a key and its label, and after that; the last key needs none after it."""


def fitting(widths: Sequence[int], room: int) -> int:
    """How many of the first widths fit into the room, all in cells."""
    used = 0
    for count, width in enumerate(widths):
        used += width
        if used > room:
            return count
    return len(widths)


class KeyLine(Footer):
    """A footer that never cuts a key in two; at its end are always the way out and the help, which lists them all."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)

    def compose(self) -> ComposeResult:
        """The keys that have room, in the order of the table of commands."""
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        last = [key for key in keys if _is_kept(key)]
        others = [key for key in keys if not _is_kept(key)]
        room = self.app.size.width + 1 - sum(map(_width, last))
        yield from others[: fitting([_width(key) for key in others], room)]
        yield from last

    def on_resize(self, _event: events.Resize) -> None:
        """Fit the keys anew."""
        self.refresh(recompose=True)


def _is_kept(key: FooterKey) -> bool:
    return key.action in (HELP_ACTION, QUIT_ACTION) or key.key == "escape"


def _width(key: FooterKey) -> int:
    return len(key.key_display) + len(key.description) + _PADDING
