"""Whether there is a terminal for the full-screen program: asked before anything is started for it."""

from __future__ import annotations

import os
import sys

from tui.model.errors import ExplainedError

CANNOT_DRAW = frozenset({"", "dumb", "unknown"})
"""Values of TERM that say that the cursor cannot be moved (terminfo's `dumb` and `unknown`), or nothing at all."""


class NoTerminalError(ExplainedError):
    """The full-screen program has nothing to be shown on, or nothing to be steered by."""


def need_terminal() -> None:
    """Raise NoTerminalError unless standard input, output and error are a terminal that can be drawn on."""
    missing = [name for name in ("stdin", "stdout", "stderr") if not _is_terminal(name)]
    if missing:
        words = {"stdin": "standard input", "stdout": "standard output", "stderr": "standard error"}
        streams = " and ".join(words[name] for name in missing)
        raise NoTerminalError(
            "The full-screen program needs a terminal",
            cause=f"{streams.capitalize()} {'is' if len(missing) == 1 else 'are'} none.",
            next_step="In scripts use qga-tui list, exec, doctor, backup or jobs; qga-tui --help names them all.",
        )
    term = os.environ.get("TERM", "")
    if term in CANNOT_DRAW:
        raise NoTerminalError(
            "This terminal cannot show the full-screen program",
            cause=f"TERM is {term or 'not set'}.",
            next_step="Set TERM to what the terminal is, as xterm-256color, or use qga-tui list, exec and doctor.",
        )


def _is_terminal(name: str) -> bool:
    stream = getattr(sys, f"__{name}__")
    try:
        return stream is not None and os.isatty(stream.fileno())
    except (ValueError, OSError):  # closed
        return False
