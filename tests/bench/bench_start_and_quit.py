"""The start of `qga-tui --help` against Python's own, and the way out while an agent call hangs."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

from tests.terminal import Terminal
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

RUNS = 11
EMPTY_APP = "from textual.app import App\nApp(ansi_color=False).run()"


def seconds(argv: list[str]) -> float:
    """Wall time of a whole process."""
    begun = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - begun


def quit_seconds(argv: list[str], shown: bytes, key: str) -> float:
    """From the key to the end of the process."""
    with Terminal(argv) as terminal:
        terminal.read_until(lambda written: shown in written)
        terminal.read_for(2.0)
        pressed = time.perf_counter()
        terminal.type(key)
        terminal.read_to_end()
        return time.perf_counter() - pressed


async def quitting_with_a_hung_agent() -> tuple[float, float]:
    """Seconds to quit while guest-ping hangs, and those of an app that does nothing."""
    async with Laboratory() as lab:
        await lab.add(GuestSpec("hung"))
        await lab.wait_for_agent("hung")
        await lab.shell("hung", "kill -STOP $(pidof qemu-ga)")
        ours = await asyncio.to_thread(quit_seconds, [sys.executable, "-m", "tui", "-c", lab.uri], b"hung", "q")
        empty = await asyncio.to_thread(quit_seconds, [sys.executable, "-c", EMPTY_APP], b"\x1b[", "\x11")
    return ours, empty


def main() -> None:
    """Print both."""
    python = statistics.median(seconds([sys.executable, "-c", "pass"]) for _ in range(RUNS))
    helped = statistics.median(seconds([sys.executable, "-m", "tui", "--help"]) for _ in range(RUNS))
    print(f"--help {helped:.3f} s, python -c pass {python:.3f} s: {helped - python:.3f} s more (aim: under 0.15)")
    ours, empty = asyncio.run(quitting_with_a_hung_agent())
    print(f"quit while a ping hangs {ours:.2f} s, an empty Textual app {empty:.2f} s: ratio {ours / empty:.2f}")


if __name__ == "__main__":
    main()
