"""Writes the parts of README.md that are made from code: the table of keys."""

from __future__ import annotations

from pathlib import Path

from tui.commands import COMMANDS
from tui.widgets.bindings import key_word

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- keys: made by `make readme` -->\n", "<!-- end of keys -->\n"


def key_table() -> str:
    """The table of commands as Markdown."""
    lines = ["| where | key | what it does |", "|---|---|---|"]
    for command in COMMANDS:
        keys = " or ".join(f"`{key_word(key)}`" for key in command.keys)
        lines.append(f"| {command.where} | {keys} | {command.help} |")
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    """README's text with the tables made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{key_table()}{END}{after}"


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
