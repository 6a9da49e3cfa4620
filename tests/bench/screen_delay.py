"""How late a line that a guest writes stands on the screen: from the guest's clock to the bytes on a real terminal."""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass

from tests.terminal import Terminal
from tui.agent.files import opened
from tui.agent.transport import Transport
from tui.hosts.libvirt_host import LibvirtHost

STAMPS = 60
HEAD = 200
"""Bytes of the clock's file that hold its time."""
QUESTIONS = 100
"""How often the guest's clock is asked before the command, and as often after it."""
CLOCK = "/proc/timer_list"
"""Has the guest's monotonic clock in its third line, as of the first read: `now at 1234 nsecs`."""
NOW = re.compile(rb"now at (\d+) nsecs")
STAMP = re.compile(rb"T(\d+)E")
COMMAND = (
    f"i=0; while [ $i -lt {STAMPS} ]; do {{ read -r n; read -r n; read -r a b n c; }} <{CLOCK}; echo T${{n}}E;"
    " sleep 0.$((i % 6 + 1))7; i=$((i+1)); done; echo all-$i"
)
"""Lines of the guest's time. Their distance changes, so that no pace of looking fits all of them."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the guest's clock is ahead of ours, in seconds: somewhere between the two."""

    least: float
    most: float

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.least + self.most) / 2

    def joined(self, other: Offset) -> Offset:
        """What holds from the one measurement to the other, drift included."""
        return Offset(min(self.least, other.least), max(self.most, other.most))


async def offset_of(line: Transport) -> Offset:
    """Read the guest's clock again and again: it was read there between a question and its answer (Cristian)."""
    least, most = float("-inf"), float("inf")
    for _ in range(QUESTIONS):
        # A handle that was read keeps what it read: each question has its own.
        async with opened(line, CLOCK, "r") as file:
            asked = time.monotonic()
            said = NOW.search(await file.read(HEAD))
            answered = time.monotonic()
        if said is None:
            raise ValueError(f"{CLOCK} does not tell the time")
        told = int(said[1]) / 1e9
        least, most = max(least, told - answered), min(most, told - asked)
    if least > most:
        raise ValueError("the two clocks do not go alike")
    return Offset(least, most)


class Screen(threading.Thread):
    """Takes in what is written to a terminal, and notes how much was there when."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(daemon=True)
        self._terminal = terminal
        self._sizes: list[int] = []
        self._moments: list[float] = []
        self._has_ended = threading.Event()

    def run(self) -> None:
        """Read until told to end."""
        while not self._has_ended.is_set():
            if self._terminal.read_some(0.1):
                self._moments.append(time.monotonic())
                self._sizes.append(len(self._terminal.written))

    def end(self) -> None:
        """Take in nothing more."""
        self._has_ended.set()
        self.join()

    def stood_at(self, place: int) -> float:
        """When the first `place` bytes had been written, by our monotonic clock."""
        return self._moments[bisect_left(self._sizes, place)]


def stamps_on_screen(uri: str, guest: str) -> list[tuple[float, float]]:
    """Of each line the time in the guest before it was written, and the one here when all its bytes were drawn."""
    with Terminal([sys.executable, "-m", "tui", "-c", uri]) as terminal:
        terminal.open_console(guest)
        screen = Screen(terminal)
        screen.start()
        terminal.type(f"{COMMAND}\r")
        deadline = time.monotonic() + 120
        # The program tells nobody what it draws, but by drawing it.
        while f"all-{STAMPS}".encode() not in terminal.written and time.monotonic() < deadline:
            time.sleep(0.1)
        screen.end()
        first: dict[bytes, int] = {}
        for seen in STAMP.finditer(terminal.written):
            first.setdefault(seen[1], seen.end())
        return [(int(stamp) / 1e9, screen.stood_at(place)) for stamp, place in first.items()]


async def measure(host: LibvirtHost, uri: str, guest: str) -> None:
    """Print the median and the worst, and how exactly the two clocks are known to each other."""
    uuid = next(facts.uuid for facts in await host.list_domains() if facts.name == guest)
    line = host.work_line(uuid)
    before = await offset_of(line)
    stamps = await asyncio.to_thread(stamps_on_screen, uri, guest)
    offset = before.joined(await offset_of(line))
    if len(stamps) != STAMPS:
        raise AssertionError(f"{len(stamps)} lines of {STAMPS} came")
    late = [(stood - (stamp - offset.middle)) * 1000 for stamp, stood in stamps]
    bound = (offset.most - offset.least) / 2 * 1000
    print(
        f"from writing in the guest to the screen: median {statistics.median(late):.0f} ms, worst {max(late):.0f} ms"
        f" of {STAMPS} lines; the guest's clock is known to {bound:.1f} ms"
    )
