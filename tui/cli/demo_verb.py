"""`qga-tui demo`: the program on six small real guests, which live in a process of their own beside it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from typing import IO

from tui.cli.app_verb import run_app
from tui.lab.demo import run_headless as run_lab

logger = logging.getLogger(__name__)

HEADLESS_ARGV = (sys.executable, "-m", "tui", "demo", "--headless", "--tied")


NO_GUESTS = 2
"""The exit code where the program was not shown."""


def run_headless(*, tied: bool) -> int:
    """The guests alone: the URI is the first line of standard output; ends on SIGINT or SIGTERM.

    A `tied` one also ends when its standard input does, so that it never outlives whoever started it.
    """
    asyncio.run(run_lab(sys.stdout, tied_to=sys.stdin if tied else None))
    return 0


def run_app_with_demo(*, read_only: bool = False) -> int:
    """Start the guests, show the program on them, and remove them when the user leaves."""
    lab = subprocess.Popen(
        HEADLESS_ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    if lab.stdin is None or lab.stdout is None or lab.stderr is None:
        raise AssertionError("the pipes were asked for")
    progress = Progress(lab.stderr)
    try:
        uri = lab.stdout.readline().decode().strip()
        progress.to_log_only()
        code = run_app((uri,), read_only=read_only) if uri else NO_GUESTS
    except KeyboardInterrupt:
        code = NO_GUESTS
    finally:
        progress.to_terminal()
        lab.stdin.close()
        lab.wait()
    return code


class Progress:
    """Passes the laboratory's lines on: to the terminal while no screen is drawn on it, and to the log always."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._to_terminal = True
        threading.Thread(target=self._pass_on, name="lab-progress", daemon=True).start()

    def to_log_only(self) -> None:
        """A screen is drawn from now on."""
        self._to_terminal = False

    def to_terminal(self) -> None:
        """The screen is gone."""
        self._to_terminal = True

    def _pass_on(self) -> None:
        for raw in self._stream:
            line = raw.decode("utf-8", "replace").rstrip()
            logger.info("demo: %s", line)
            if self._to_terminal:
                print(line, file=sys.stderr, flush=True)
