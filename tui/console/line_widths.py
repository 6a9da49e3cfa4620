"""How many rows the lines of a block take in a view of any width, from the cells that they need."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable

NARROW = 40
"""Cells that fit every view."""
_MOST = 2**16 - 1


def rows_of(cells: int, width: int) -> int:
    """Rows of one line: an empty one takes a row too."""
    return max(1, -(-cells // width))


class LineWidths:
    """The cells that the lines of a whole block need, in two bytes each; none are kept where all fit every view."""

    __slots__ = ("_count", "_sorted")

    def __init__(self, cells: Iterable[int]) -> None:
        ordered = sorted(cells)
        self._count = len(ordered)
        is_narrow = not ordered or ordered[-1] <= NARROW
        self._sorted = array("H", () if is_narrow else (min(each, _MOST) for each in ordered))

    def rows(self, width: int) -> int:
        """Rows of all lines: one each, and one more for each time that a line is wider than the view."""
        rows, ordered = self._count, self._sorted
        widest = ordered[-1] if ordered else 0
        for full in range(width, widest, width):
            rows += self._count - bisect_right(ordered, full)
        return rows
