"""One line above the guests where a backup left something behind."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from tui.backup.leftovers import RUNNING, Leftover, Urgency
from tui.model.text import printable


def banner_text(leftovers: Mapping[str, tuple[Leftover, ...]], styles: dict[str, str]) -> Text | None:
    """The most urgent one in words, with the key that shows more; None where nothing was left behind."""
    found = [each for all_of in leftovers.values() for each in all_of if each.way not in RUNNING]
    if not found:
        return None
    first = min(found, key=lambda each: list(Urgency).index(each.urgency))
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    words = f"! {printable(first.guest, 30)}: {printable(first.title)}{more}. B shows what to do."
    return Text(words, styles["error" if first.urgency is Urgency.NOW else "warning"])
