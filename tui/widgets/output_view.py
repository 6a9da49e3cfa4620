"""A scrolling view of a command's output: wrapped lines with a gutter that tells the streams apart, without colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.model.text import Shown
from tui.widgets.tones import styles_of


class LineKind(StrEnum):
    """What a line of the view is."""

    PROMPT = "prompt"
    STDOUT = "stdout"
    STDERR = "stderr"
    NOTICE = "notice"
    ENDED_WELL = "ended well"
    ENDED_BADLY = "ended badly"


GUTTERS: dict[LineKind, tuple[str, str]] = {
    LineKind.PROMPT: ("$ ", "primary"),
    LineKind.STDOUT: ("  ", "plain"),
    LineKind.STDERR: ("! ", "warning"),
    LineKind.NOTICE: ("· ", "muted"),
    LineKind.ENDED_WELL: ("= ", "success"),
    LineKind.ENDED_BADLY: ("= ", "error"),
}
GUTTER_WIDTH = 2


@dataclass(frozen=True, slots=True)
class ViewLine:
    """One logical line."""

    kind: LineKind
    text: Shown


@dataclass(frozen=True, slots=True)
class _Row:
    """A line's part that fits the width; only the first part carries the gutter's sign."""

    line: ViewLine
    text: str
    is_first: bool


class OutputView(ScrollView, can_focus=True):
    """Append-only but for the open lines at its end, which the guest has not ended yet. Follows the end."""

    DEFAULT_CSS = "OutputView { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"

    def __init__(self, line_limit: int = 100_000) -> None:
        super().__init__()
        self._line_limit = line_limit
        self._lines: list[ViewLine] = []
        self._rows: list[_Row] = []
        self._open_rows = 0
        self._wrapped_at = 0
        self._follows = True

    @property
    def allow_select(self) -> bool:
        """Output may be selected."""
        return True

    def extend(self, lines: Iterable[ViewLine]) -> None:
        """Append lines; the oldest are forgotten past the limit."""
        added = list(lines)
        del self._rows[len(self._rows) - self._open_rows :]
        self._open_rows = 0
        self._lines.extend(added)
        if len(self._lines) > self._line_limit * 1.1:
            del self._lines[: len(self._lines) - self._line_limit]
            self._rewrap()
            return
        for line in added:
            self._rows.extend(self._wrap(line))
        self._resized()

    def show_open(self, lines: Iterable[ViewLine]) -> None:
        """Draw these lines after the last one, in place of those drawn so before: they still grow."""
        del self._rows[len(self._rows) - self._open_rows :]
        rows = [row for line in lines for row in self._wrap(line)]
        self._rows.extend(rows)
        self._open_rows = len(rows)
        self._resized()

    @property
    def lines(self) -> tuple[ViewLine, ...]:
        """All lines kept."""
        return tuple(self._lines)

    def _wrap(self, line: ViewLine) -> list[_Row]:
        width = max(self._wrapped_at - GUTTER_WIDTH, 1)
        text = str(line.text)
        if cell_len(text) <= width:
            return [_Row(line, text, is_first=True)]
        return [_Row(line, part, is_first=place == 0) for place, part in enumerate(chop_cells(text, width))]

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew where the width changed."""
        width = self.scrollable_content_region.width or event.size.width
        if width != self._wrapped_at:
            self._wrapped_at = width
            self._rewrap()
        elif self._follows:
            self.call_after_refresh(self.follow)

    def _rewrap(self) -> None:
        self._rows = [row for line in self._lines for row in self._wrap(line)]
        self._open_rows = 0
        self._resized()

    def _resized(self) -> None:
        self.virtual_size = Size(self._wrapped_at, len(self._rows))
        if self._follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

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

    def render_line(self, y: int) -> Strip:
        """One row, with its gutter and selection."""
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        base = self.rich_style
        if place >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[place]
        sign, tone = GUTTERS[row.line.kind]
        style = base + Style.parse(styles_of(self.app.theme_variables)[tone] or "none")
        gutter = Strip([Segment(sign if row.is_first else "  ", style)])
        text_style = base if row.line.kind is LineKind.STDOUT else style
        text = Strip(self._segments(row.text, place, text_style)).apply_offsets(0, place)
        return Strip.join([gutter, text]).adjust_cell_length(width, base)

    def _segments(self, text: str, place: int, style: Style) -> list[Segment]:
        selection = self.text_selection
        span = None if selection is None else selection.get_span(place)
        if span is None:
            return [Segment(text, style)]
        start, end = span[0], len(text) if span[1] == -1 else span[1]
        marked = style + self.screen.get_component_rich_style("screen--selection")
        parts = ((text[:start], style), (text[start:end], marked), (text[end:], style))
        return [Segment(part, part_style) for part, part_style in parts if part]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text; parts of one line are joined as the guest wrote it."""
        pieces: list[str] = []
        for place, row in enumerate(self._rows):
            span = selection.get_span(place)
            if span is None:
                continue
            start, end = span[0], len(row.text) if span[1] == -1 else span[1]
            pieces.append(("\n" if row.is_first and pieces else "") + row.text[start:end])
        return ("".join(pieces), "\n") if pieces else None
