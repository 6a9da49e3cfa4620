"""Signals that a process was started to ignore stay ignored; the others end it in good order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

WAIT = """
import asyncio, signal
from tui.system.signals import on_signals

async def main():
    ended = asyncio.Event()
    heard = []
    on_signals((signal.SIGINT, signal.SIGHUP, signal.SIGTERM), lambda number: (heard.append(number), ended.set()))
    print("ready", flush=True)
    await ended.wait()
    print(*heard, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("ignoring", "sent", "heard"),
    [
        ("", signal.SIGHUP, signal.SIGHUP),
        ("trap '' HUP;", signal.SIGHUP, signal.SIGTERM),
        ("trap '' INT;", signal.SIGINT, signal.SIGTERM),
        ("trap '' HUP INT;", signal.SIGINT, signal.SIGTERM),
    ],
)
def test_what_was_ignored_at_the_start_stays_ignored(ignoring: str, sent: int, heard: int) -> None:
    words = ["sh", "-c", f'{ignoring} exec "$0" -c "$1"', sys.executable, WAIT]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(sent)
        if sent != heard:
            process.send_signal(signal.SIGTERM)
        assert int(process.stdout.readline()) == heard
        assert process.wait() == 0
