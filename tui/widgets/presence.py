"""Whether a screen can still be drawn on."""

from __future__ import annotations

from textual.dom import DOMNode


def is_left(screen: DOMNode) -> bool:
    """Whether a screen is on its way out: it loses its parts one by one while its workers may still hear news."""
    return not screen.display
