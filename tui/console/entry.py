"""What a user enters at a prompt: text that runs as it is shown, its line ends alike, all of it visible."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from tui.model.text import REPLACEMENT

_LINE_ENDS = re.compile(r"\r\n?|\n")
MORE = " ↵ "
"""Stands for a line end where a script is named in one line."""


@dataclass(frozen=True, slots=True)
class Taken:
    """`text` is printable characters, tabs and line feeds; `replaced` of those that came are others now."""

    text: str
    replaced: int


def taken(raw: str) -> Taken:
    """Text from a paste, a file or a guest as a prompt takes it.

    Unicode's other spaces become spaces, as they look; whatever else is not printable becomes U+FFFD. One that is there
    already stands for what the terminal's bytes could not say, and counts as replaced.
    """
    text = _LINE_ENDS.sub("\n", raw)
    seen = [_as_seen(c) for c in text]
    replaced = sum(before != after or after == REPLACEMENT for before, after in zip(text, seen, strict=True))
    return Taken("".join(seen), replaced)


def _as_seen(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    return " " if unicodedata.category(character) == "Zs" else REPLACEMENT


def entered(text: str) -> str:
    """What is run of what stands at a prompt: all of it but the line ends after it."""
    return text.rstrip("\n")


def lines_of(text: str) -> tuple[str, ...]:
    """The lines that say something."""
    return tuple(line for line in text.split("\n") if line.strip())


def in_one_line(text: str) -> str:
    """An entry by name: its lines side by side."""
    return text.replace("\n", MORE)
