"""The end of the program with its terminal, also where no SIGHUP tells of it."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable

GIVE_UP_S = 3.0
"""Seconds after which a program that its terminal left is ended hard: it may hang in a write to that terminal."""


def end_with_terminal(leave: Callable[[], object]) -> None:
    """Call `leave`, in a thread, once the terminal of standard input is gone, and end the process soon after that.

    SIGHUP goes to the session that the terminal controls alone: a program that was given it in another way reads an
    end of file for ever, and a write to it may never return.
    """
    stdin = 0
    if os.isatty(stdin):
        threading.Thread(target=_watch, args=(stdin, leave), name="hang-up", daemon=True).start()


def _watch(terminal: int, leave: Callable[[], object]) -> None:
    hang_up = select.poll()
    hang_up.register(terminal, 0)  # without any event: POLLHUP and POLLERR are told all the same
    hang_up.poll()
    leave()
    time.sleep(GIVE_UP_S)
    os._exit(128 + signal.SIGHUP)
