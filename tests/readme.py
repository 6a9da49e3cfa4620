"""Writes the parts of README.md that are made from code: the tables of keys and of causes."""

from __future__ import annotations

import re
from pathlib import Path

from tui.commands import COMMANDS
from tui.doctor.causes import CAUSES, Cause
from tui.widgets.bindings import key_word

README = Path(__file__).parent.parent / "README.md"


def key_table() -> str:
    """The table of commands as Markdown."""
    lines = ["| where | key | what it does |", "|---|---|---|"]
    for command in COMMANDS:
        keys = " or ".join(f"`{key_word(key)}`" for key in command.keys)
        lines.append(f"| {command.where} | {keys} | {command.help} |")
    return "\n".join(lines) + "\n"


def cause_table() -> str:
    """What the doctor can find, as Markdown, the worst first."""
    lines = ["| cause | recognised by | what is said | what mends it |", "|---|---|---|---|"]
    for cause in Cause:
        words = CAUSES[cause]
        members = "".join(f"<br>· maybe {other.what}: {other.tells}" for other in words.others)
        said = re.sub(r"\{\w+\}", "…", words.said)
        lines.append(f"| `{cause}` | {words.recognised} | {said}{members} | {words.mends} |")
    return "\n".join(lines) + "\n"


def with_tables(text: str) -> str:
    """README's text with the tables made anew."""
    for name, table in (("keys", key_table()), ("causes", cause_table())):
        begin, end = f"<!-- {name}: made by `make readme` -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{table}{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
