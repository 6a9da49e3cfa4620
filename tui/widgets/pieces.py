"""A line of the screen in pieces of one style each: cut to its characters, or styled anew."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style


def cut(pieces: list[Segment], start: int, end: int) -> list[Segment]:
    """The characters from `start` to `end`."""
    kept: list[Segment] = []
    place = 0
    for text, style, _ in pieces:
        part = text[max(0, start - place) : max(0, end - place)]
        if part:
            kept.append(Segment(part, style))
        place += len(text)
    return kept


def restyled(pieces: list[Segment], start: int, end: int, style: Style) -> list[Segment]:
    """The pieces with `style` added to the characters from `start` to `end`."""
    anew: list[Segment] = []
    place = 0
    for text, old, _ in pieces:
        head, tail = max(0, min(start - place, len(text))), max(0, min(end - place, len(text)))
        parts = ((text[:head], old), (text[head:tail], (old or Style.null()) + style), (text[tail:], old))
        anew += [Segment(part, part_style) for part, part_style in parts if part]
        place += len(text)
    return anew
