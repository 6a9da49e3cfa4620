"""Values out of foreign JSON, each checked for what it has to be."""

from __future__ import annotations

import os
import re
from typing import Any

LIST_LIMIT = 256
TEXT_LIMIT = 4096
"""Characters; the longest path a kernel takes is 4096 bytes."""


def a_list(raw: Any) -> list[Any]:
    """A list of bounded length; raises ValueError."""
    if not isinstance(raw, list) or len(raw) > LIST_LIMIT:
        raise ValueError("a list is missing or too long")
    return raw


def a_count(raw: Any) -> int:
    """A number of bytes, or of anything else, from 0 up; raises ValueError."""
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw < 2**63:
        raise ValueError(f"not a count: {raw!r:.80}")
    return raw


def a_time(raw: Any) -> float:
    """A moment in Unix seconds, or a span of seconds, that a calendar can tell; raises ValueError."""
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw < 2**33:
        raise ValueError("not a time")
    return float(raw)


def a_user(raw: Any) -> int:
    """The number of a user or a group, which chown(2) takes; raises ValueError."""
    if a_count(raw) >= 2**32 - 1:
        raise ValueError(f"not a user's number: {raw!r:.80}")
    return int(raw)


def a_text(raw: Any) -> str:
    """A text that is not empty and of bounded length; raises ValueError."""
    if not isinstance(raw, str) or not 0 < len(raw) <= TEXT_LIMIT or "\0" in raw:
        raise ValueError(f"not a plain text: {raw!r:.80}")
    return raw


def a_text_like(raw: Any, pattern: re.Pattern[str]) -> str:
    """A text of a form; raises ValueError."""
    text = a_text(raw)
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r:.80} is not of the form {pattern.pattern}")
    return text


def a_path(raw: Any) -> str:
    """An absolute path without detours; raises ValueError."""
    text = a_text(raw)
    if not text.startswith("/") or os.path.normpath(text) != text:
        raise ValueError(f"not an absolute, plain path: {text!r:.200}")
    return text
