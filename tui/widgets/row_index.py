"""Which row of a view shows which line of a transcript: arithmetic over blocks, so that a million lines cost little."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from rich.cells import cell_len

from tui.console.transcript import BLOCK, Entry
from tui.model.text import without_colours

_NARROW = 40
"""Cells that fit every view."""


@dataclass(frozen=True, slots=True)
class _Widths:
    """Cells that the lines of a block need; none are kept where all fit every view."""

    count: int
    widest: int
    each: array[int] | None

    def rows(self, width: int) -> int:
        if self.each is None or self.widest <= width:
            return self.count
        return sum(_rows(cells, width) for cells in self.each)


def needed_cells(text: str) -> int:
    """Cells to plan for: where characters are two cells wide, each row may end one cell early."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    plain = without_colours(text)  # type: ignore[arg-type]
    cells = cell_len(plain)
    return cells if cells == len(plain) else cells + cells // _NARROW + 1


def _rows(cells: int, width: int) -> int:
    return max(1, -(-cells // width))


class RowIndex:
    """Rows of whole blocks, counted once; rows of the block that still grows are counted by each look."""

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self._first_block = 0
        self._blocks: list[_Widths] = []
        self._ends: list[int] = []

    @property
    def next_block(self) -> int:
        """The number of the block that is to be added next."""
        return self._first_block + len(self._blocks)

    @property
    def rows(self) -> int:
        """Rows of all whole blocks."""
        return self._ends[-1] if self._ends else 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Count a whole block."""
        each = array("L", (needed_cells(entry.text) for entry in entries))
        widest = max(each, default=0)
        widths = _Widths(len(each), widest, None if widest <= _NARROW else array("H", (min(c, 65535) for c in each)))
        self._blocks.append(widths)
        self._ends.append(self.rows + widths.rows(self.width))

    def drop_before(self, block: int) -> int:
        """Forget blocks that the transcript dropped; how many rows that were."""
        count = min(block - self._first_block, len(self._blocks))
        if count <= 0:
            return 0
        dropped = self._ends[count - 1]
        del self._blocks[:count]
        self._ends = [end - dropped for end in self._ends[count:]]
        self._first_block += count
        return dropped

    def resize(self, width: int) -> None:
        """Count anew for another width."""
        self.width = max(width, 1)
        self._ends = list(accumulate(block.rows(self.width) for block in self._blocks))

    def block_at(self, row: int) -> tuple[int, int]:
        """The block that has this row, and the block's first row; the growing block for rows after all others."""
        place = bisect_right(self._ends, row)
        return self._first_block + place, self._ends[place - 1] if place else 0

    def first_row(self, block: int) -> int:
        """The first row of a block."""
        place = min(max(block - self._first_block, 0), len(self._ends))
        return self._ends[place - 1] if place else 0

    def layout(self, entries: Iterable[Entry]) -> list[int]:
        """For each entry of a block the row, from the block's first, after its last one."""
        return list(accumulate(_rows(needed_cells(entry.text), self.width) for entry in entries))


def block_of(index: int) -> tuple[int, int]:
    """The block of an entry, and its place there."""
    return divmod(index, BLOCK)
