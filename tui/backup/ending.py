"""How a run ends: what its journal keeps of that, and its log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

from tui.backup.errors import explained


def ending(exit_code: int, error: Exception | None, shortfalls: Sequence[str]) -> dict[str, object]:
    """The details of a run's last journal entry; the error is told in the run's log too."""
    if error is not None:
        tell_log(error)
    return {
        "exit_code": exit_code,
        "error": None if error is None else asdict(explained(error)),
        "shortfalls": list(shortfalls),
    }


def tell_log(error: Exception) -> None:
    """Write to the run's log, which is the worker's standard error."""
    say_in_log(f"qga-tui: {explained(error)}")


def say_in_log(words: str) -> None:
    """Write a line to the run's log; that nobody can hear it any more is no reason to leave a guest half way."""
    with suppress(OSError):
        print(words, file=sys.stderr, flush=True)  # noqa: T201 - the run's log
