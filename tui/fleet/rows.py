"""What the guest list says of each guest: cells as text and tone, before anything is drawn. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tui.fleet import words
from tui.fleet.fleet import Fleet
from tui.model.guest import Guest, GuestId
from tui.model.text import Shown, printable


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list; `width` in cells, 0 for what is left. Lower `priority` numbers stay longer."""

    key: str
    title: str
    width: int
    priority: int


COLUMNS: tuple[Column, ...] = (
    Column("host", "HOST", 10, 5),
    Column("name", "GUEST", 18, 0),
    Column("power", "POWER", 8, 2),
    Column("agent", "AGENT", 14, 1),
    Column("since", "SINCE", 5, 3),
    Column("ping", "PING", 7, 4),
    Column("reason", "REASON", 0, 6),
)

REASON_MIN_WIDTH = 16
CELL_PADDING = 2


def columns_for(width: int, *, several_hosts: bool) -> tuple[Column, ...]:
    """The columns that fit `width` cells, the least important dropped first; the last one takes what is left."""
    chosen = [column for column in COLUMNS if several_hosts or column.key != "host"]
    while len(chosen) > 2 and _needed(chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.priority))
    left = width - _needed(chosen)
    return tuple(
        Column(column.key, column.title, REASON_MIN_WIDTH + left, column.priority) if column.width == 0 else column
        for column in chosen
    )


def _needed(columns: list[Column]) -> int:
    return sum((column.width or REASON_MIN_WIDTH) + CELL_PADDING for column in columns)


def ordered(fleet: Fleet) -> list[Guest]:
    """By host as the user named them, then by name."""
    places = {host.name: place for place, host in enumerate(fleet.hosts)}
    return sorted(fleet.guests.values(), key=lambda guest: (places[guest.id.host], guest.name, guest.id.uuid))


def cell(guest: Guest, key: str, now: float) -> Shown:
    """The text of one cell."""
    match key:
        case "host":
            return printable(guest.id.host, 40)
        case "name":
            return printable(guest.name, 80)
        case "power":
            return printable(guest.facts.power)
        case "agent":
            return printable(f"{words.GLYPHS[guest.agent.state]} {guest.agent.state}")
        case "since":
            return printable("" if guest.agent.since is None else words.age(now - guest.agent.since))
        case "ping":
            return printable(words.ping(guest.agent.ping_ms))
        case _:
            return printable(guest.agent.reason, 200)


def find(fleet: Fleet, guest_id: GuestId | None) -> Guest | None:
    """The latest value of a guest."""
    return None if guest_id is None else fleet.guests.get(guest_id)
