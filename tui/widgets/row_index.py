"""Which row of a view shows which line of a transcript: arithmetic over blocks, so that a million lines cost little."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from rich.cells import cell_len

from tui.console.line_widths import NARROW, LineWidths, rows_of
from tui.console.transcript import BLOCK, Entry, Transcript
from tui.model.text import Shown, without_colours


def needed_cells(text: Shown) -> int:
    """Cells to plan for: where characters are two cells wide, each row may end one cell early."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    plain = without_colours(text)
    cells = cell_len(plain)
    return cells if cells == len(plain) else cells + cells // NARROW + 1


class RowIndex:
    """Rows of a transcript's whole blocks; rows of the block that still grows are counted by each look.

    A block that no view has measured yet counts as a row for each of its lines: measuring can only make it longer.
    The transcript keeps what was measured, since it outlives its views.
    """

    def __init__(self, transcript: Transcript, width: int = 80) -> None:
        self.width = width
        self._transcript = transcript
        self._first_block = transcript.first // BLOCK
        self._rows: list[int] = []
        self._ends: list[int] = []
        self._unmeasured: list[int] = []
        self.grow()

    @property
    def next_block(self) -> int:
        """The number of the block that is to be added next."""
        return self._first_block + len(self._rows)

    @property
    def rows(self) -> int:
        """Rows of all whole blocks."""
        return self._ends[-1] if self._ends else 0

    @property
    def is_measured(self) -> bool:
        """Whether no whole block is left to be measured."""
        return not self._unmeasured

    def knows(self, block: int) -> bool:
        """Whether a block is measured, or still grows."""
        return block in self._transcript.widths or block >= self.next_block

    def grow(self) -> None:
        """Forget the blocks that the transcript dropped, and take those that have become whole."""
        transcript = self._transcript
        first = transcript.first // BLOCK
        has_dropped = first > self._first_block
        if has_dropped:
            del self._rows[: first - self._first_block]
            self._first_block = first
            self._unmeasured = [block for block in self._unmeasured if block >= first]
        if has_dropped or self.next_block < transcript.whole_blocks:
            added = range(self.next_block, transcript.whole_blocks)
            self._unmeasured += [block for block in added if block not in transcript.widths]
            self._rows += [self._rows_of(block) for block in added]
            self.count()

    def measure(self, block: int) -> bool:
        """Measure one whole block, unless it is; whether it was not. `count` brings the rows up to date."""
        if self.knows(block) or block < self._first_block:
            return False
        self._transcript.widths[block] = LineWidths(needed_cells(each.text) for each in self._transcript.block(block))
        self._rows[block - self._first_block] = self._rows_of(block)
        return True

    def measure_newest(self) -> None:
        """Measure the newest block that is not."""
        while self._unmeasured and not self.measure(self._unmeasured.pop()):
            continue

    def count(self) -> None:
        """Take into account what was measured since the last count."""
        self._ends = list(accumulate(self._rows))

    def resize(self, width: int) -> None:
        """Count anew for another width."""
        self.width = max(width, 1)
        self._rows = [self._rows_of(block) for block in range(self._first_block, self.next_block)]
        self.count()

    def _rows_of(self, block: int) -> int:
        widths = self._transcript.widths.get(block)
        return BLOCK if widths is None else widths.rows(self.width)

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
        return list(accumulate(rows_of(needed_cells(entry.text), self.width) for entry in entries))


def block_of(index: int) -> tuple[int, int]:
    """The block of an entry, and its place there."""
    return divmod(index, BLOCK)
