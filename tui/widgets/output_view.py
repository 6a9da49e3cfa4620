"""A scrolling view of a transcript: wrapped lines with a gutter that tells the streams apart, without colour.

Only the rows on the screen are made; the transcript itself may have millions.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.agent.exec_model import Stream
from tui.console.transcript import BLOCK, EndLine, Entry, NoticeLine, OutputLine, PromptLine, Transcript
from tui.model.text import without_colours
from tui.widgets.leaving import EndsWorkersFirst
from tui.widgets.pieces import cut, restyled
from tui.widgets.row_index import RowIndex, block_of
from tui.widgets.sgr import segments
from tui.widgets.tones import styles_of


class LineKind(StrEnum):
    """What a line of the view is."""

    PROMPT = "prompt"
    MORE_OF_PROMPT = "more of the prompt"
    STDOUT = "stdout"
    STDERR = "stderr"
    NOTICE = "notice"
    ENDED_WELL = "ended well"
    ENDED_BADLY = "ended badly"


GUTTERS: dict[LineKind, tuple[str, str]] = {
    LineKind.PROMPT: ("$ ", "primary"),
    LineKind.MORE_OF_PROMPT: ("> ", "primary"),
    LineKind.STDOUT: ("  ", "plain"),
    LineKind.STDERR: ("! ", "warning"),
    LineKind.NOTICE: ("· ", "muted"),
    LineKind.ENDED_WELL: ("= ", "success"),
    LineKind.ENDED_BADLY: ("= ", "error"),
}
GUTTER_WIDTH = 2
_MEASURED_TOGETHER = 32
"""Blocks out of sight that are measured before the scrollbar shows it."""
_SELECTED_ROWS = 100_000
"""Rows of a selection that are copied at most: more is for saving."""


def kind_of(entry: Entry) -> LineKind:
    """How an entry is marked."""
    match entry:
        case PromptLine(goes_on=goes_on):
            return LineKind.MORE_OF_PROMPT if goes_on else LineKind.PROMPT
        case OutputLine(stream=stream):
            return LineKind.STDERR if stream is Stream.STDERR else LineKind.STDOUT
        case NoticeLine():
            return LineKind.NOTICE
        case EndLine(is_good=is_good):
            return LineKind.ENDED_WELL if is_good else LineKind.ENDED_BADLY


class OutputView(ScrollView, EndsWorkersFirst, can_focus=True):
    """Follows the end of its transcript while it stands there. `grown` is called when the transcript has grown.

    `is_measuring` while lines out of sight are counted; the scrollbar is about right until then.
    """

    DEFAULT_CSS = "OutputView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self.term = ""
        self._transcript = Transcript()
        self._index = RowIndex(self._transcript)
        self.is_measuring = False
        self._open: tuple[Entry, ...] = ()
        self._layouts: dict[tuple[int, int], list[int]] = {}
        self._follows = True

    @property
    def allow_select(self) -> bool:
        """Output may be selected."""
        return True

    def show(self, transcript: Transcript) -> None:
        """Show another transcript from now on."""
        self._transcript = transcript
        self._index = RowIndex(transcript, self._index.width)
        self._layouts.clear()
        self.grown(())

    def grown(self, open_lines: Iterable[Entry]) -> None:
        """Show what is new; `open_lines` follow the last entry until they are complete."""
        self._open = tuple(open_lines)
        self._layouts = {key: layout for key, layout in self._layouts.items() if key[0] < self._index.next_block}
        with self._sight_kept():
            self._index.grow()
        self._measure_sight()
        if not self._index.is_measured and not self.is_measuring:
            self.is_measuring = True
            self.run_worker(self._measure_rest(), name="lines measured")
        self.refresh()

    @contextmanager
    def _sight_kept(self) -> Iterator[None]:
        """What is in sight stays there while rows above it become more, or are dropped."""
        index, top = self._index, self.scroll_offset.y
        block, _ = index.block_at(top)
        # Of a block that is yet to be measured the end is in sight: who scrolls up comes from there.
        edge = block if index.knows(block) else block + 1
        below = index.first_row(edge) - top
        yield
        self.virtual_size = Size(index.width + GUTTER_WIDTH, index.rows + self._tail_rows())
        if self._follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        elif top:
            row = max(0, index.first_row(edge) - below)
            if row != top:
                self.scroll_to(y=row, animate=False, immediate=True)

    def _measure_sight(self) -> None:
        """Measure the blocks in sight; each that is longer than was assumed may bring others there."""
        index, height = self._index, self.scrollable_content_region.height
        is_new = height > 0
        while is_new:
            top = self.scroll_offset.y
            first, last = index.block_at(top)[0], index.block_at(top + height - 1)[0]
            with self._sight_kept():
                is_new = sum(index.measure(block) for block in range(first, last + 1)) > 0
                index.count()

    async def _measure_rest(self) -> None:
        """Measure the blocks that are out of sight, giving way to keys between any two."""
        try:
            while not self._index.is_measured:
                for _ in range(_MEASURED_TOGETHER):
                    self._index.measure_newest()
                    await asyncio.sleep(0)
                with self._sight_kept():
                    self._index.count()
        finally:
            self.is_measuring = False

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._follows = True
        self.scroll_end(animate=False, immediate=True, x_axis=False)

    def watch_scroll_y(self, before: float, now: float) -> None:
        """Who scrolls up stops following; who comes to the end follows again. A layout that shrinks is no scrolling."""
        super().watch_scroll_y(before, now)
        if now >= self.max_scroll_y:
            self._follows = True
        elif now < before:
            self._follows = False
        if not self._index.is_measured:
            self._measure_sight()

    def go_to(self, entry: int) -> None:
        """Scroll so that an entry of the transcript is in sight."""
        block, place = block_of(entry)
        with self._sight_kept():
            self._index.measure(block)
            self._index.count()
        layout = self._layout(block)
        row = self._index.first_row(block) + (layout[place - 1] if 0 < place <= len(layout) else 0)
        self.scroll_to(y=max(0, row - self.size.height // 2), animate=False, immediate=True)

    @property
    def top_entry(self) -> int:
        """The index of the first entry in sight."""
        block, first_row = self._index.block_at(self.scroll_offset.y)
        return block * BLOCK + bisect_right(self._layout(block), self.scroll_offset.y - first_row)

    @property
    def lines(self) -> tuple[tuple[LineKind, str], ...]:
        """All lines, without colours."""
        return tuple((kind_of(entry), str(without_colours(entry.text))) for entry in self._transcript.since())

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew where the width changed."""
        width = (self.scrollable_content_region.width or event.size.width) - GUTTER_WIDTH
        if width != self._index.width:
            self._index.resize(width)
            self._layouts.clear()
            self.grown(self._open)
        elif self._follows:
            self.call_after_refresh(self.follow)

    def _layout(self, block: int) -> list[int]:
        entries = self._entries(block)
        key = (block, len(entries))
        if key not in self._layouts:
            if len(self._layouts) > 16:
                self._layouts.clear()
            self._layouts[key] = self._index.layout(entries)
        return self._layouts[key]

    def _entries(self, block: int) -> tuple[Entry, ...]:
        entries = self._transcript.block(block)
        return entries + self._open if block >= self._transcript.whole_blocks else entries

    def _tail_rows(self) -> int:
        layout = self._layout(self._index.next_block)
        return layout[-1] if layout else 0

    def _row(self, row: int) -> tuple[Entry, int] | None:
        """The entry in a row of the view, and which of its own rows that is."""
        block, first_row = self._index.block_at(row)
        layout, entries = self._layout(block), self._entries(block)
        place = bisect_right(layout, row - first_row)
        if place >= len(entries) or place >= len(layout):
            return None
        return entries[place], row - first_row - (layout[place - 1] if place else 0)

    def render_line(self, y: int) -> Strip:
        """One row, with its gutter, colours, hits and selection."""
        row = self.scroll_offset.y + y
        width, base = self.scrollable_content_region.width, self.rich_style
        found = self._row(row)
        if found is None:
            return Strip.blank(width, base)
        entry, part = found
        kind = kind_of(entry)
        sign, tone = GUTTERS[kind]
        style = base + Style.parse(styles_of(self.app.theme_variables)[tone] or "none")
        pieces = segments(entry.text, base if kind is LineKind.STDOUT else style)
        start, end = self._span(entry, part)
        line = Strip(cut(self._marked(pieces, row, start), start, end)).apply_offsets(0, row)
        gutter = Strip([Segment("  " if part else sign, style)])
        return Strip.join([gutter, line]).adjust_cell_length(width, base)

    def _span(self, entry: Entry, part: int) -> tuple[int, int]:
        """Which characters of an entry, colours not counted, stand in one of its rows."""
        text = str(without_colours(entry.text))
        if text.isascii():
            return part * self._index.width, (part + 1) * self._index.width
        if cell_len(text) <= self._index.width:
            return (0, len(text)) if part == 0 else (len(text), len(text))
        lengths = [len(piece) for piece in chop_cells(text, self._index.width)]
        return sum(lengths[:part]), sum(lengths[: part + 1])

    def _marked(self, pieces: list[Segment], row: int, row_start: int) -> list[Segment]:
        """The pieces of an entry with the hits of a search and the selection of one row marked."""
        text = "".join(piece.text for piece in pieces)
        if self.term:
            hit_style = Style(reverse=True)
            place = text.casefold().find(self.term)
            while place >= 0 and len(text) == len(text.casefold()):
                pieces = restyled(pieces, place, place + len(self.term), hit_style)
                place = text.casefold().find(self.term, place + len(self.term))
        selection = self.text_selection
        span = None if selection is None else selection.get_span(row)
        if span is None:
            return pieces
        end = len(text) if span[1] == -1 else row_start + span[1]
        return restyled(pieces, row_start + span[0], end, self.screen.get_component_rich_style("screen--selection"))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text; parts of one line are joined as the guest wrote it."""
        text = "".join(self._selected(selection))
        return (text, "\n") if text else None

    def _selected(self, selection: Selection) -> Iterator[str]:
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self.virtual_size.height - 1
        for row in range(first, min(last, first + _SELECTED_ROWS) + 1):
            found, span = self._row(row), selection.get_span(row)
            if found is None or span is None:
                continue
            entry, part = found
            start, end = self._span(entry, part)
            shown = str(without_colours(entry.text))[start:end]
            yield ("\n" if part == 0 and row > first else "") + shown[span[0] : None if span[1] == -1 else span[1]]
