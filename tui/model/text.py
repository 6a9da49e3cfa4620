"""Foreign text made safe for a terminal; the only makers of `Shown`."""

from __future__ import annotations

import re
from typing import NewType

Shown = NewType("Shown", str)
"""Text that may be drawn: every character of it is printable, whoever wrote it.

What `coloured` made may hold SGR sequences too: `widgets.sgr` turns them into styles before anything is drawn.
"""

REPLACEMENT = "\ufffd"
SHOWN_LIMIT = 4_000
"""Characters of one foreign line that are worth drawing; the rest is cut with an ellipsis."""

SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")
"""Select Graphic Rendition, the one control function that changes colours alone (ECMA-48, 8.3.117)."""
# No string's body holds another one's head: the search from each head ends at the next one, so that a line of
# unended heads is read once and not once per head.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # all other escapes, and the heads of strings that nobody ended
    r"|.\x08|[\x07\x00]"  # overstrikes, bells and padding
)


def printable(text: str, limit: int = SHOWN_LIMIT) -> Shown:
    """One line of foreign text with every character that could steer a terminal replaced.

    C0 with ESC, DEL, C1, bidirectional and zero-width controls, line separators and lone surrogates all become
    U+FFFD. Nothing is parsed: an unterminated escape sequence cannot swallow what follows it.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return Shown(cut if cut.isprintable() else "".join(c if c.isprintable() else REPLACEMENT for c in cut))


def coloured(line: str) -> Shown:
    """One line of a command's output: SGR sequences are kept, other control sequences removed, the rest `printable`.

    A control string (OSC, DCS) is removed only where it ends within the line, so that it swallows nothing else.
    """
    if line.isprintable():
        return Shown(line)
    cleaned = without_controls(line)
    parts: list[str] = []
    place = 0
    for match in SGR.finditer(cleaned):
        parts += (_harmless(cleaned[place : match.start()]), match[0])
        place = match.end()
    parts.append(_harmless(cleaned[place:]))
    return Shown("".join(parts))


def without_controls(line: str) -> str:
    """One line without control sequences other than SGR. Not safe to be drawn: single controls are left."""
    return _CONTROL.sub(lambda match: match[0] if SGR.fullmatch(match[0]) else "", line)


def _harmless(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else REPLACEMENT for c in text)


def without_colours(text: Shown) -> Shown:
    """The same text without its SGR sequences: for files, clipboards and searching."""
    return Shown(SGR.sub("", text)) if "\x1b" in text else text
