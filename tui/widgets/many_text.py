"""The lines of one command in many guests: a guest each, or a group of those in which the same came out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from rich.text import Text

from tui.console.many_rows import Group, Row, RunState, grouped
from tui.model.text import printable

GLYPHS = {RunState.WAITING: "…", RunState.RUNNING: "▸", RunState.DONE: "✓", RunState.FAILED: "✗"}
TONES = {
    RunState.WAITING: "muted",
    RunState.RUNNING: "primary",
    RunState.DONE: "success",
    RunState.FAILED: "error",
}
LEAST_OF_LINE = 10
"""Cells of the command that are shown however many counts stand behind it."""


@dataclass(frozen=True, slots=True)
class ManyLine:
    """A guest, or a group of several; `places` are those of its guests in the run, `said` what is known of them."""

    places: tuple[int, ...]
    state: RunState
    cells: tuple[str, ...]
    said: str

    @property
    def is_group(self) -> bool:
        """Whether it stands for several guests."""
        return len(self.places) > 1


def lines_each(rows: Sequence[Row], now: float) -> list[ManyLine]:
    """A line for every guest; `now` is the monotonic clock's."""
    return [_of_guest(place, row, now) for place, row in enumerate(rows)]


def lines_grouped(rows: Sequence[Row], unfolded: Set[int], now: float) -> list[ManyLine]:
    """A line for every group, then those that are not over; a group of one is its guest.

    Below a group that holds a place of `unfolded` stand its guests.
    """
    lines: list[ManyLine] = []
    for group in grouped(rows):
        is_one, is_unfolded = len(group.places) == 1, not unfolded.isdisjoint(group.places)
        if not is_one:
            lines.append(_of_group(group))
        if is_one or is_unfolded:
            mark = "" if is_one else "└ "
            lines += [_of_guest(place, rows[place], now, mark) for place in group.places]
    return lines + [_of_guest(place, row, now) for place, row in enumerate(rows) if not row.is_over]


def summary(line: str, rows: Sequence[Row], width: int, styles: Mapping[str, str]) -> Text:
    """The command and how many guests are how far, in `width` cells: the command is cut, no count is."""
    counts = Text()
    for state in (RunState.FAILED, RunState.RUNNING, RunState.WAITING, RunState.DONE):
        if count := sum(row.state is state for row in rows):
            counts.append(f"  {GLYPHS[state]} {count} {state}", styles[TONES[state]])
    text = Text(printable(line), "bold", no_wrap=True)
    text.truncate(max(LEAST_OF_LINE, width - counts.cell_len), overflow="ellipsis")
    return text.append_text(counts)


def _of_guest(place: int, row: Row, now: float, mark: str = "") -> ManyLine:
    news = row.words if row.state is RunState.RUNNING else ""
    last = news or row.last_line or (row.words if row.state is RunState.FAILED else "")
    cells = (GLYPHS[row.state], mark + row.name, _result(row), _time(row, now), last)
    return ManyLine((place,), row.state, cells, f"{row.name}: {row.words or row.state}")


def _of_group(group: Group) -> ManyLine:
    first = group.rows[0]
    names = ", ".join(group.names)
    last = first.last_line or (group.reason if group.state is RunState.FAILED else "")
    cells = (GLYPHS[group.state], f"{len(group.places)}: {names}", _result(first), "", last)
    return ManyLine(group.places, group.state, cells, f"{names}: {group.reason}")


def _result(row: Row) -> str:
    if row.signal is not None:
        return f"signal {row.signal}"
    return str(row.state) if row.exit_code is None else f"exit {row.exit_code}"


def _time(row: Row, now: float) -> str:
    if row.state is RunState.RUNNING and row.begun_at is not None:
        return f"{int(now - row.begun_at)} s"
    return f"{row.seconds:.1f} s" if row.seconds else ""
