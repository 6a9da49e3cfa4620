"""Signals that end a program in good order; those that it was started to ignore stay ignored."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable


def on_signals(
    numbers: Iterable[int], act: Callable[[int], object], loop: asyncio.AbstractEventLoop | None = None
) -> tuple[int, ...]:
    """Have `act` called with its number when a signal comes, in `loop` or the running one; returns those heard.

    One that was ignored when this process began stays so: that is how nohup(1) protects from SIGHUP, and a shell
    without job control its background jobs from SIGINT.
    """
    loop = loop or asyncio.get_running_loop()
    heard = tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)
    for number in heard:
        loop.add_signal_handler(number, act, number)
    return heard
