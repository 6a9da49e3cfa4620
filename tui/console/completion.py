"""Completion of a path that is being typed, asked from the guest."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.agent.exec_scripts import quoted

DEADLINE_S = 3.0
CANDIDATES = 200
_WORD = re.compile(r"(?:[^\s'\"\\|&;<>()=]|\\.)*\Z")
_TO_ESCAPE = re.compile(r"([\s'\"\\|&;<>()$`*?\[\]#~!{}])")


@dataclass(frozen=True, slots=True)
class Completion:
    """What tab makes of a line, and the candidates where that is not all that can be said."""

    line: str
    candidates: tuple[str, ...] = ()


def question(before_cursor: str) -> str:
    """A line for the guest's POSIX shell that lists what the word at the cursor may become, one a line."""
    typed = _unescaped(_word(before_cursor))
    home = '"$HOME"' if typed.startswith("~/") else ""
    pattern = quoted(typed.removeprefix("~") if home else typed)
    test = f'for f in {home}{pattern}*; do [ -e "$f" ] || [ -L "$f" ] || continue; '
    return (
        test
        + f"""if [ -d "$f" ]; then printf '%s/\\n' "$f"; else printf '%s\\n' "$f"; fi; done | head -n {CANDIDATES}"""
    )


def completed(before_cursor: str, said: bytes) -> Completion:
    """The line with the word at the cursor completed as far as the guest's answer leaves no doubt."""
    word = _word(before_cursor)
    candidates = [line for line in said.decode("utf-8", "replace").splitlines() if line.isprintable()]
    if not candidates:
        return Completion(before_cursor)
    common = _common(candidates)
    typed = _unescaped(word)
    head = before_cursor[: len(before_cursor) - len(word)]
    if len(common) < len(typed) and not typed.startswith("~/"):
        return Completion(before_cursor, tuple(candidates))
    ending = " " if len(candidates) == 1 and not common.endswith("/") else ""
    line = head + _TO_ESCAPE.sub(r"\\\1", common) + ending
    return Completion(line, tuple(candidates) if len(candidates) > 1 else ())


def _word(before_cursor: str) -> str:
    found = _WORD.search(before_cursor)
    return found[0] if found else ""


def _unescaped(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word)


def _common(words: list[str]) -> str:
    first, last = min(words), max(words)
    length = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    return first[: length if length is not None else min(len(first), len(last))]
