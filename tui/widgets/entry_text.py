"""What stands above a prompt: what it asks, and the lines that wait for the running command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from tui.console.entry import in_one_line
from tui.console.entry_question import EntryQuestion, ways
from tui.model.text import printable

SHOWN_WAITING = 3
"""Lines that wait and are shown; of more, the last row tells how many."""


def question_text(question: EntryQuestion, second_key: str, styles: Mapping[str, str]) -> Text:
    """The question, and the keys that answer it."""
    text = Text(f" {printable(question.words)}  ", styles["warning"])
    for key, label in ways(question, second_key):
        text.append(f" {key} ", "bold reverse").append(f" {label}  ")
    return text


def waiting_text(waiting: Sequence[str], held: str, key: str, styles: Mapping[str, str]) -> Text:
    """The lines that wait, and why they do; `key` opens what can be done about them."""
    count = f"{len(waiting)} line{'s' if len(waiting) != 1 else ''}"
    text = Text(no_wrap=True, overflow="ellipsis")
    if held:
        text.append(f" The command before {count} {held}.  ", styles["warning"])
        text.append(f" {key} ", "bold reverse").append(" Go on, remove or drop  ")
        text.append(" ^c ", "bold reverse").append(" Drop")
    else:
        text.append(f" {count} waiting  ", styles["muted"])
        text.append(f" {key} ", "bold reverse").append(" Remove")
    for number, line in enumerate(waiting[:SHOWN_WAITING], 1):
        text.append(f"\n {number} ", styles["muted"]).append(printable(in_one_line(line), 400))
    if len(waiting) > SHOWN_WAITING:
        text.append(f"\n … and {len(waiting) - SHOWN_WAITING} more", styles["muted"])
    return text
