"""The beginning of a file of a guest's, to read."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from tui.model.text import Shown
from tui.widgets.key_line import KeyLine


class FileScreen(Screen[None]):
    """Text that scrolls; esc closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", "Close")]

    def __init__(self, title: Shown, text: Text) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Title and text."""
        yield Static(Text(self._title, no_wrap=True, overflow="ellipsis"), id="title")
        with VerticalScroll(id="content"):
            yield Static(self._text)
        yield KeyLine()

    def on_mount(self) -> None:
        """The keys scroll."""
        self.query_one("#content").focus()
