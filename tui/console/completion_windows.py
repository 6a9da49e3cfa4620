"""Completion of a path that is being typed for a Windows guest: its words, its names, its quotes. Pure."""

from __future__ import annotations

import re

from tui.agent.errors import CommandFailedError
from tui.console.completion import Completion

LIMIT = 64 * 1024
"""Bytes of names that are looked at; a folder may hold any number."""
_PLAIN_WORD = re.compile(r"[^\s\"&|<>=,;]*\Z")
_BETWEEN = "*"
"""No name holds it: stands between the folders and the files."""
_NEEDS_QUOTES = re.compile(r"[\s&()\[\]{}^=;!'+,`~]")


def question(before_cursor: str) -> str:
    """A line for cmd.exe that prints what the word at the cursor may become: the names of folders, then those of files.

    Raises CommandFailedError where the word cannot be asked for.
    """
    word = _word(before_cursor)
    if set(word) & set("*?"):
        raise CommandFailedError("No path is completed", cause="it has wildcards")
    return f'dir /b /ad "{word}*" & echo {_BETWEEN}& dir /b /a-d "{word}*"'


def completed(before_cursor: str, said: str) -> Completion:
    """The line with the word at the cursor completed as far as the guest's answer leaves no doubt."""
    folders, _, files = said.replace("\r\n", "\n").partition(f"{_BETWEEN}\n")
    names = [f"{name}\\" for name in folders.split("\n") if name] + [name for name in files.split("\n") if name]
    word = _word(before_cursor)
    place = max(word.rfind(char) for char in "\\/:") + 1
    begun = word[place:].casefold()
    candidates = [name for name in names if name.isprintable() and name.casefold().startswith(begun)]
    if not candidates:
        return Completion(before_cursor)
    common = _common(candidates)
    if len(candidates) > 1 and len(common) <= len(begun):
        return Completion(before_cursor, tuple(candidates))
    is_quoted = _is_quoted(before_cursor)
    full = word[:place] + common
    quote = '"' * (not is_quoted and _NEEDS_QUOTES.search(full) is not None)
    ends = len(candidates) == 1 and not common.endswith("\\")
    ending = ('"' * (is_quoted or bool(quote)) + " ") * ends
    line = before_cursor[: len(before_cursor) - len(word)] + quote + full + ending
    return Completion(line, tuple(candidates) if len(candidates) > 1 else ())


def _is_quoted(before_cursor: str) -> bool:
    return before_cursor.count('"') % 2 == 1


def _word(before_cursor: str) -> str:
    if _is_quoted(before_cursor):
        return before_cursor.rpartition('"')[2]
    found = _PLAIN_WORD.search(before_cursor)
    return found[0] if found else ""


def _common(names: list[str]) -> str:
    """What all begin with, whatever the case of letters: Windows does not tell it apart."""
    first = names[0]
    length = len(first)
    for name in names[1:]:
        pairs = zip(first[:length], name, strict=False)
        length = next(
            (at for at, (one, other) in enumerate(pairs) if one.casefold() != other.casefold()), min(length, len(name))
        )
    return first[:length]
