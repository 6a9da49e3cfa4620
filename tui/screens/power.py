"""What to do to the power of one or several guests, and the question before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.fleet.power import BY_A_WAY, PowerAct, in_words, way_to, why_not
from tui.hosts.port import PowerWay
from tui.model.guest import Guest
from tui.model.text import Shown, printable

NAME_SHOWN = 30
"""Characters of a guest's name where several are named."""
NAMES_ROOM = 150
"""Cells for names where several are named: two such lists fit into a question on 60x20."""

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


def _names(guests: Sequence[Guest]) -> str:
    """As many names as have room, and how many more there are."""
    shown: list[str] = []
    for guest in guests:
        name = printable(guest.name, NAME_SHOWN)
        if shown and cell_len(", ".join((*shown, name))) > NAMES_ROOM:
            break
        shown.append(name)
    more = len(guests) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _ways(guests: tuple[Guest, ...]) -> str:
    """By which way each guest is asked to end: `By the agent: a, b · by the ACPI power button: c`."""
    asked = {way: [guest for guest in guests if way_to(guest) is way] for way in PowerWay}
    ways = " · ".join(f"by the {way}: {_names(able)}" for way, able in asked.items() if able)
    return f"{ways[0].upper()}{ways[1:]}"


def question(act: PowerAct, guests: tuple[Guest, ...]) -> Shown:
    """What is asked before the act, with every way that differs."""
    if len(guests) == 1:
        words = in_words(act, guests[0])
        return printable(f"{words[0].upper()}{words[1:]}?")
    return printable(f"{act.capitalize()} {len(guests)} guests?")


def consequence(act: PowerAct, guests: tuple[Guest, ...]) -> Shown:
    """What it means, and for whom."""
    if len(guests) == 1:
        return printable(CONSEQUENCES[act])
    return printable(f"{CONSEQUENCES[act]} {_ways(guests) if act in BY_A_WAY else _names(guests)}.")
