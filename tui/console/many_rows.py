"""How far one command is in each of many guests, and which of them came out the same. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tui.model.text import Shown

NO_LINE = Shown("")


class RunState(StrEnum):
    """How far one guest is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It ended badly, or could not be run."""


@dataclass(frozen=True, slots=True)
class Row:
    """One guest: `exit_code` and `signal` as in `Finished`, `begun_at` in seconds of the monotonic clock.

    `words` tell the latest news while it runs, then its end, or why there was none; `reason` is that end without its
    time. `digest` is that of all its output, so that equal ones can be grouped.
    """

    name: str
    state: RunState = RunState.WAITING
    exit_code: int | None = None
    signal: int | None = None
    last_line: Shown = NO_LINE
    begun_at: float | None = None
    seconds: float = 0.0
    words: str = ""
    reason: str = ""
    digest: str = ""
    out_bytes: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in {RunState.DONE, RunState.FAILED}


@dataclass(frozen=True, slots=True)
class Group:
    """Guests in which the command ended the same way, with the same output; `places` are theirs among all rows."""

    places: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of its guests."""
        return tuple(row.name for row in self.rows)

    @property
    def state(self) -> RunState:
        """Of each of them."""
        return self.rows[0].state

    @property
    def reason(self) -> str:
        """How it ended in each of them, or why it could not be run."""
        return self.rows[0].reason


def grouped(rows: Sequence[Row]) -> tuple[Group, ...]:
    """The guests that are over, grouped by what came out; failures first, then the larger groups."""
    found: dict[tuple[RunState, str, str], list[int]] = {}
    for place, row in enumerate(rows):
        if row.is_over:
            found.setdefault((row.state, row.reason, row.digest), []).append(place)
    groups = [Group(tuple(places), tuple(rows[place] for place in places)) for places in found.values()]
    return tuple(sorted(groups, key=lambda group: (group.state is not RunState.FAILED, -len(group.places))))
