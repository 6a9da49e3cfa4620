"""The columns of the guest list: what each one says, sorts by, and when it makes room. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tui.fleet import words
from tui.fleet.introduction import badges
from tui.model.guest import AgentState, Guest
from tui.model.quantities import size
from tui.model.text import Shown, printable

CELL_PADDING = 2
MARK = "✔ "
BUSY = "▸ "
BLOCKED = "⊘ "
_VERSION_DIGITS = 9
"""Digits of a part of a version that count when it is sorted: a guest may send any number of them."""

URGENCY: dict[AgentState, int] = {
    state: place
    for place, state in enumerate(
        (
            AgentState.FROZEN,
            AgentState.UNRESPONSIVE,
            AgentState.DISCONNECTED,
            AgentState.PENDING,
            AgentState.NO_CHANNEL,
            AgentState.UNKNOWN,
            AgentState.CONNECTED,
            AgentState.RESPONDING,
            AgentState.PAUSED,
            AgentState.OFF,
        )
    )
}
"""What needs a look first comes first when the list is sorted by agent."""

SortKey = tuple[bool, float | str]
"""Empty cells come last in either direction; numbers are compared as numbers, words without regard to case."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `width` in cells, 0 for all that is left; low `priority` numbers are dropped last."""

    key: str
    title: str
    width: int
    priority: int
    text: Callable[[Guest, float], str]
    sort: Callable[[Guest], SortKey]
    tone: str = "muted"


def _word(value: str) -> SortKey:
    return (not value, value.casefold())


def _number(value: float | None) -> SortKey:
    return (value is None, value or 0.0)


def _since(guest: Guest, now: float) -> str:
    return "" if guest.agent.since is None else words.age(now - guest.agent.since)


def _os(guest: Guest) -> str:
    facts = guest.agent_facts
    return "" if facts is None else facts.os_name or facts.os_id


def _address(guest: Guest) -> str:
    return "" if guest.address is None else f"{guest.address.text} {guest.address.source}"


def _version(guest: Guest) -> str:
    return "" if guest.agent_facts is None else guest.agent_facts.version


def _version_parts(guest: Guest) -> SortKey:
    parts = _version(guest).split(".")
    numbers = [int(part[:_VERSION_DIGITS]) for part in parts if part.isdecimal()]
    return (not numbers, sum(number / 1000**place for place, number in enumerate(numbers[:3])))


def _cpu(guest: Guest, _now: float) -> str:
    return "" if guest.cpu_share is None else f"{guest.cpu_share * 100:.0f} %"


def _reason(guest: Guest) -> str:
    return " · ".join((*(part for part in (guest.agent.reason,) if part), *badges(guest.agent_facts)))


def _agent(guest: Guest, _now: float) -> str:
    return f"{words.GLYPHS[guest.agent.state]} {guest.agent.state}"


ALL: Mapping[str, Column] = MappingProxyType(
    {
        column.key: column
        for column in (
            Column("host", "HOST", 10, 50, lambda g, _: g.id.host, lambda g: _word(g.id.host)),
            Column("name", "GUEST", 18, 0, lambda g, _: g.name, lambda g: _word(g.name), tone="plain"),
            Column("power", "POWER", 8, 20, lambda g, _: g.facts.power, lambda g: _word(g.facts.power), tone="power"),
            Column("agent", "AGENT", 14, 1, _agent, lambda g: _number(URGENCY[g.agent.state]), tone="agent"),
            Column(
                "since", "SINCE", 5, 30, _since, lambda g: _number(None if g.agent.since is None else -g.agent.since)
            ),
            Column("ping", "PING", 7, 40, lambda g, _: words.ping(g.agent.ping_ms), lambda g: _number(g.agent.ping_ms)),
            Column("os", "SYSTEM", 16, 70, lambda g, _: _os(g), lambda g: _word(_os(g))),
            Column("address", "ADDRESS", 21, 60, lambda g, _: _address(g), lambda g: _word(_address(g))),
            Column("version", "QGA", 8, 80, lambda g, _: _version(g), _version_parts),
            Column(
                "autostart",
                "AUTO",
                4,
                95,
                lambda g, _: "yes" if g.facts.autostart else "",
                lambda g: _word("yes" if g.facts.autostart else ""),
            ),
            Column(
                "memory",
                "MEMORY",
                9,
                85,
                lambda g, _: size(g.facts.memory_bytes) if g.facts.memory_bytes else "",
                lambda g: _number(g.facts.memory_bytes or None),
            ),
            Column(
                "vcpus",
                "CPUS",
                4,
                90,
                lambda g, _: str(g.facts.vcpus or ""),
                lambda g: _number(g.facts.vcpus or None),
            ),
            Column("cpu", "CPU", 6, 75, _cpu, lambda g: _number(g.cpu_share)),
            Column("reason", "REASON", 0, 65, lambda g, _: _reason(g), lambda g: _word(_reason(g))),
        )
    }
)

DEFAULT_KEYS = ("host", "name", "power", "agent", "since", "ping", "os", "address", "reason")
ALWAYS_SHOWN = frozenset({"name", "agent"})
FILLER_MIN_WIDTH = 24


def fitting(keys: tuple[str, ...], width: int, *, several_hosts: bool) -> tuple[Column, ...]:
    """The chosen columns that fit `width` cells: the guest and its agent, then what a user added, then by importance.

    What is left goes to the column without a width of its own, else to the guest's name.
    """
    wanted = [ALL[key] for key in keys if several_hosts or key != "host"]
    chosen: list[Column] = []
    for column in sorted(wanted, key=_rank):
        if column.key in ALWAYS_SHOWN or _needed([*chosen, column]) <= width:
            chosen.append(column)
    chosen.sort(key=wanted.index)
    left = max(width - _needed(chosen), 0)
    filler = next((column.key for column in chosen if column.width == 0), "name")
    return tuple(
        replace(column, width=(column.width or FILLER_MIN_WIDTH) + left) if column.key == filler else column
        for column in chosen
    )


def _rank(column: Column) -> tuple[bool, bool, int]:
    return (column.key not in ALWAYS_SHOWN, column.key in DEFAULT_KEYS, column.priority)


def _needed(columns: list[Column]) -> int:
    return sum((column.width or FILLER_MIN_WIDTH) + CELL_PADDING for column in columns)


def cell(guest: Guest, column: Column, now: float, *, marked: bool = False, busy: bool = False) -> Shown:
    """The text of one cell; the guest's name carries the mark, and the signs of a running command and a policy."""
    text = printable(column.text(guest, now), 200)
    if column.key != "name":
        return text
    return Shown(MARK * marked + BUSY * busy + BLOCKED * bool(badges(guest.agent_facts)) + text)
