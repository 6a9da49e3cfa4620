"""What is asked before an entry runs: how several lines are meant, and whether a program can do without a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.console.entry import entered, lines_of
from tui.console.shells import Shell
from tui.console.terminal_programs import wants_terminal

ONE_LINE_SHELLS = frozenset({Shell.CMD, Shell.PROGRAM})
"""Those that read one line and no script."""


@dataclass(frozen=True, slots=True)
class EntryQuestion:
    """`words` are the question; the ways are what enter and the second key do, empty where there is no such way."""

    words: str
    enter: str
    second: str = ""
    enter_means_lines: bool = False
    """Whether enter runs each line by itself."""


def question_about(text: str, shell: Shell | None, *, has_input: bool = False, where: str = "") -> EntryQuestion | None:
    """What is to be asked before `text` is run by `shell`, None where it just runs.

    `has_input` is for a command that is given something to read; `where` names the guests of a command for several,
    which is always asked about.
    """
    text = entered(text)
    lines = lines_of(text)
    count = f"{len(lines)} lines"
    lacks = _lack(text, shell, has_input=has_input)
    if "\n" not in text:
        if where:
            return EntryQuestion(_joined(f"Run it {where}?", lacks), "Run")
        return EntryQuestion(lacks, "Run it all the same") if lacks else None
    if where:
        return EntryQuestion(_joined(f"{count} as one script, {where}?", lacks), "Run as one script")
    if shell in ONE_LINE_SHELLS:
        return EntryQuestion(_joined(f"{count}: {shell} runs one line at a time", lacks), "Line by line", "", True)
    return EntryQuestion(_joined(f"{count}:", lacks), "Run as one script", "Line by line")


def _lack(text: str, shell: Shell | None, *, has_input: bool) -> str:
    found = wants_terminal(text, has_input=has_input) if shell in {None, Shell.SH, Shell.BASH, Shell.PROGRAM} else None
    if found is None:
        return ""
    return f"{found.program} needs a terminal, and commands here have none: {found.why}. v in the guest list opens one."


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def ways(question: EntryQuestion, second_key: str) -> Sequence[tuple[str, str]]:
    """The keys that answer, each with its label."""
    offered = [("enter", question.enter)]
    if question.second:
        offered.append((second_key, question.second))
    return (*offered, ("esc", "Cancel"))
