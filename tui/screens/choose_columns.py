"""Which columns the guest list has, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.fleet import columns


class ColumnsScreen(ModalScreen[tuple[str, ...] | None]):
    """Dismissed with the chosen keys in their order, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "give_up", "Leave as it was"),
        Binding("enter,c", "done", "Done", priority=True),
        Binding("space", "toggle_column", "Show or hide"),
        Binding("J,shift+down", "shift(1)", "Move down"),
        Binding("K,shift+up", "shift(-1)", "Move up"),
        Binding("j", "cursor(1)", show=False),
        Binding("k", "cursor(-1)", show=False),
    ]

    def __init__(self, chosen: tuple[str, ...], fitting: Callable[[tuple[str, ...]], frozenset[str]]) -> None:
        """`fitting` tells which of some columns the list has room for now."""
        super().__init__()
        self._fitting = fitting
        self._keys = [*chosen, *(key for key in columns.ALL if key not in chosen)]
        self._shown = set(chosen)

    def compose(self) -> ComposeResult:
        """The list of all columns."""
        with Vertical(id="dialog"):
            yield Static(Text("Columns of the guest list", "bold"))
            yield Static(Text("space shows or hides, J and K move, enter is done, esc leaves it as it was", "dim"))
            yield OptionList()

    def on_mount(self) -> None:
        """Draw the list."""
        self._draw(0)

    def _draw(self, cursor: int) -> None:
        options = self.query_one(OptionList)
        fitting = self._fitting(self._chosen())
        options.set_options(Option(self._line(key, has_room=key in fitting)) for key in self._keys)
        options.highlighted = cursor

    def _line(self, key: str, *, has_room: bool) -> Text:
        is_shown = key in self._shown
        line = Text(f"{'✔' if is_shown else ' '} {columns.ALL[key].title:<8} {_MEANINGS[key]}")
        return line.append("  no room now", "dim") if is_shown and not has_room else line

    def _chosen(self) -> tuple[str, ...]:
        return tuple(key for key in self._keys if key in self._shown)

    def _cursor(self) -> int:
        return self.query_one(OptionList).highlighted or 0

    def action_toggle_column(self) -> None:
        """Show or hide the column under the cursor; the guest and its agent always stay."""
        key = self._keys[self._cursor()]
        if key not in columns.ALWAYS_SHOWN:
            self._shown ^= {key}
        self._draw(self._cursor())

    def action_shift(self, rows: int) -> None:
        """Move the column under the cursor."""
        place = self._cursor()
        target = place + rows
        if 0 <= target < len(self._keys):
            self._keys[place], self._keys[target] = self._keys[target], self._keys[place]
            self._draw(target)

    def action_cursor(self, rows: int) -> None:
        """Move the cursor."""
        options = self.query_one(OptionList)
        options.highlighted = min(max(self._cursor() + rows, 0), len(self._keys) - 1)

    def action_done(self) -> None:
        """Take it."""
        self.dismiss(self._chosen())

    def action_give_up(self) -> None:
        """Leave it."""
        self.dismiss(None)


_MEANINGS = {
    "host": "the host it runs on",
    "name": "its name",
    "power": "whether it runs",
    "agent": "the state of its agent",
    "since": "since when the agent is so",
    "ping": "the agent's last answer",
    "os": "operating system, as the agent says",
    "address": "first address, and who said so",
    "version": "version of qemu-ga",
    "autostart": "starts with the host",
    "memory": "memory",
    "vcpus": "virtual processors",
    "cpu": "processor use of the last seconds",
    "reason": "why the agent is so, what is blocked",
}
