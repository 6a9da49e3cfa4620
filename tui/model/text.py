"""Foreign text made safe for a terminal; the only makers of `Shown`."""

from __future__ import annotations

from typing import NewType

Shown = NewType("Shown", str)
"""Text that may be drawn: every character of it is printable, whoever wrote it."""

REPLACEMENT = "\ufffd"
SHOWN_LIMIT = 4_000
"""Characters of one foreign line that are worth drawing; the rest is cut with an ellipsis."""


def printable(text: str, limit: int = SHOWN_LIMIT) -> Shown:
    """One line of foreign text with every character that could steer a terminal replaced.

    C0 with ESC, DEL, C1, bidirectional and zero-width controls, line separators and lone surrogates all become
    U+FFFD. Nothing is parsed: an unterminated escape sequence cannot swallow what follows it.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return Shown(cut if cut.isprintable() else "".join(c if c.isprintable() else REPLACEMENT for c in cut))
