"""One thing out of a list: type to narrow it down, enter takes, esc leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from tui.console.entry import in_one_line
from tui.model.text import printable
from tui.widgets.leaving import EndsWorkersFirst

SHOWN = 200


class PickScreen(ModalScreen[str | None], EndsWorkersFirst):
    """Dismissed with what was taken, or None. `narrow` gives the choices for what was typed.

    With `free`, what was typed may be any text: enter takes it as it stands, unless the user went to a choice.
    A `narrow` that `blocks`, on a disk say, is asked in a thread, and late answers are dropped.
    """

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Back")]

    def __init__(
        self,
        title: str,
        narrow: Callable[[str], Sequence[str]],
        *,
        typed: str = "",
        free: bool = False,
        blocks: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._narrow = narrow
        self._typed = typed
        self._free = free
        self._blocks = blocks
        self._choices: list[str] = []

    def compose(self) -> ComposeResult:
        """What for, what was typed, what there is."""
        with Vertical(id="picker"):
            yield Static(Text(self._title, "bold"))
            yield Input(self._typed, id="typed")
            yield OptionList(id="choices")

    def on_mount(self) -> None:
        """Show all choices."""
        self._narrow_to(self._typed)
        self.query_one("#typed", Input).focus()

    @on(Input.Changed, "#typed")
    def _changed(self, event: Input.Changed) -> None:
        self._narrow_to(event.value)

    def _narrow_to(self, typed: str) -> None:
        if self._blocks:
            self._show((), typed)
            self._narrow_in_thread(typed)
        else:
            self._show(self._narrow(typed), typed)

    @work(exclusive=True, group="narrow")
    async def _narrow_in_thread(self, typed: str) -> None:
        self._show(await asyncio.to_thread(self._narrow, typed), typed)

    def _show(self, choices: Sequence[str], typed: str) -> None:
        self._choices = list(choices)[:SHOWN]
        options = self.query_one("#choices", OptionList)
        options.set_options([Text(printable(in_one_line(choice), 400)) for choice in self._choices])
        takes_typed = self._free and typed
        options.highlighted = 0 if self._choices and not takes_typed else None

    def on_key(self, event: events.Key) -> None:
        """Up and down walk through the choices while the line is typed."""
        if event.key in {"up", "down"}:
            event.prevent_default()
            options = self.query_one("#choices", OptionList)
            if event.key == "up":
                options.action_cursor_up()
            else:
                options.action_cursor_down()

    @on(Input.Submitted, "#typed")
    def _taken(self, event: Input.Submitted) -> None:
        place = self.query_one("#choices", OptionList).highlighted
        if place is not None and place < len(self._choices):
            self.dismiss(self._choices[place])
        elif self._free and event.value:
            self.dismiss(event.value)

    @on(OptionList.OptionSelected, "#choices")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index])


def among(choices: Sequence[str]) -> Callable[[str], Sequence[str]]:
    """Narrows a fixed list down to those that hold all typed words."""

    def narrow(typed: str) -> Sequence[str]:
        words = typed.casefold().split()
        return [choice for choice in choices if all(word in choice.casefold() for word in words)]

    return narrow
