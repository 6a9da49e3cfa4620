"""What to do to the power of one or several guests, and the question before it is done."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.fleet.power import PowerAct, in_words, why_not
from tui.model.guest import Guest
from tui.model.text import Shown, printable

NAMES_SHOWN = 12

CONSEQUENCES: dict[PowerAct, str] = {
    PowerAct.SHUT_DOWN: "The guest is asked to end its programs and power off.",
    PowerAct.REBOOT: "The guest is asked to end its programs and boot anew.",
    PowerAct.SUSPEND: "The guest stops where it is, its clock too, until it is resumed.",
    PowerAct.FORCE_OFF: "Like pulling the plug: what the guest had not written to its disks is lost.",
}


class PowerScreen(ModalScreen[PowerAct | None]):
    """A menu of what makes sense for at least one of the guests; dismissed with the act, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "give_up", "Back"),
        Binding("j", "cursor(1)", show=False),
        Binding("k", "cursor(-1)", show=False),
    ]

    def __init__(self, guests: tuple[Guest, ...]) -> None:
        super().__init__()
        self._guests = guests

    def compose(self) -> ComposeResult:
        """The acts; one that makes no sense says why."""
        with Vertical(id="dialog"):
            yield Static(Text(_whom(self._guests), "bold"))
            yield OptionList(*(self._option(act) for act in PowerAct))
            yield Static(Text("enter chooses, esc leaves; you are asked before anything that hurts", "dim"))

    def _option(self, act: PowerAct) -> Option:
        able = [guest for guest in self._guests if not why_not(act, guest)]
        if not able:
            reason = why_not(act, self._guests[0])
            return Option(Text(f"{act}  ({reason})", "dim"), id=act.name, disabled=True)
        if len(self._guests) == 1:
            return Option(Text(printable(in_words(act, able[0]))), id=act.name)
        return Option(Text(f"{act} {len(able)} of {len(self._guests)}"), id=act.name)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(PowerAct[str(event.option.id)])

    def action_cursor(self, rows: int) -> None:
        """Move the cursor."""
        options = self.query_one(OptionList)
        if rows > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_give_up(self) -> None:
        """Do nothing."""
        self.dismiss(None)


def _whom(guests: tuple[Guest, ...]) -> Shown:
    if len(guests) == 1:
        return printable(f"Power of {guests[0].name}")
    return printable(f"Power of {len(guests)} marked guests: {_names(guests)}")


def _names(guests: tuple[Guest, ...]) -> str:
    more = f" and {len(guests) - NAMES_SHOWN} more" if len(guests) > NAMES_SHOWN else ""
    return ", ".join(guest.name for guest in guests[:NAMES_SHOWN]) + more


def question(act: PowerAct, guests: tuple[Guest, ...]) -> Shown:
    """What is asked before the act, with every way that differs."""
    if len(guests) == 1:
        words = in_words(act, guests[0])
        return printable(f"{words[0].upper()}{words[1:]}?")
    return printable(f"{act.capitalize()} {len(guests)} guests?")


def consequence(act: PowerAct, guests: tuple[Guest, ...]) -> Shown:
    """What it means, and for whom."""
    words = CONSEQUENCES[act]
    if len(guests) > 1:
        words = f"{words} {_names(guests)}."
    return printable(words)
