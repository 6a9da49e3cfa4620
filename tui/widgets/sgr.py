"""Colours that a guest's programs chose (SGR sequences) as styles; no sequence itself gets further than here."""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui.model.text import SGR, Shown

_ON: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
}
_DEFAULT = Color.default()


def segments(text: Shown, base: Style) -> list[Segment]:
    """The text in pieces of one style each."""
    if "\x1b" not in text:
        return [Segment(text, base)]
    pieces: list[Segment] = []
    style, place = base, 0
    for match in SGR.finditer(text):
        if match.start() > place:
            pieces.append(Segment(text[place : match.start()], style))
        style = _next_style(match[1], style, base)
        place = match.end()
    if place < len(text):
        pieces.append(Segment(text[place:], style))
    return pieces


@lru_cache(maxsize=1024)
def _next_style(parameters: str, style: Style, base: Style) -> Style:
    numbers = [
        int(word[:4]) if word.isascii() and word.isdigit() else 0 for word in parameters.replace(":", ";").split(";")
    ]
    place = 0
    while place < len(numbers):
        number = numbers[place]
        place += 1
        if number == 0:
            style = base
        elif number in _ON:
            style += Style(**_ON[number])  # type: ignore[arg-type]
        elif number in {38, 48}:
            colour, used = _extended(numbers[place:])
            place += used
            style += _painted(colour, behind=number == 48)
        else:
            style += _plain_colour(number)
    return style


def _plain_colour(number: int) -> Style:
    for first, behind, offset in ((30, False, 0), (40, True, 0), (90, False, 8), (100, True, 8)):
        if first <= number < first + 8:
            return _painted(Color.from_ansi(number - first + offset), behind=behind)
    if number in {39, 49}:
        return _painted(_DEFAULT, behind=number == 49)
    return Style.null()


def _painted(colour: Color | None, *, behind: bool) -> Style:
    return Style(bgcolor=colour) if behind else Style(color=colour)


def _extended(numbers: list[int]) -> tuple[Color | None, int]:
    """The colour after 38 or 48, and how many parameters it took."""
    match numbers:
        case [5, index, *_]:
            return Color.from_ansi(min(index, 255)), 2
        case [2, red, green, blue, *_]:
            return Color.from_rgb(min(red, 255), min(green, 255), min(blue, 255)), 4
        case _:
            return None, len(numbers)
