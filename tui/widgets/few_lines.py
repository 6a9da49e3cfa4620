"""Texts in a place of few lines: each has its share of them, and what has no room ends in an ellipsis."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text
from textual.widgets import Static

_CONSOLE = Console()
"""Rich asks for one to wrap a text, and takes nothing from it where no text is justified."""


class FewLines(Static):
    """Shows texts below each other, however narrow it becomes."""

    _texts: tuple[Text, ...] = ()

    def show(self, *texts: Text) -> None:
        """Draw other texts."""
        self._texts = texts
        self._fit()

    def on_resize(self) -> None:
        """There is other room."""
        self._fit()

    def _fit(self) -> None:
        size = self.content_size
        if size.width and size.height:
            self.update(few_lines(self._texts, size.width, size.height))


def wrapped(text: Text, width: int) -> list[Text]:
    """A text in lines of `width` cells at most."""
    return list(text.wrap(_CONSOLE, max(width, 1)))


def few_lines(texts: Sequence[Text], width: int, height: int) -> Text:
    """The texts wrapped into `height` lines of `width` cells at most.

    Each text but an empty one has a line at least; further ones go to the first text that needs them.
    """
    wanted = [wrapped(text, width) for text in texts if text.plain]
    spare = height - len(wanted)
    lines: list[Text] = []
    for text in wanted[: max(height, 0)]:
        more = min(len(text) - 1, max(spare, 0))
        spare -= more
        lines += [*text[:more], _last(text[more:], width)]
    return Text("\n").join(lines)


def _last(lines: list[Text], width: int) -> Text:
    """The first of the lines, with an ellipsis where others follow."""
    line = lines[0].copy()
    line.rstrip()
    if len(lines) > 1:
        line.truncate(width - 1)
        line.append("…")
    return line
