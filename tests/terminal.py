"""A program on a terminal of its own: what it writes, when, and how much processor time it takes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Terminal:
    """Runs `argv` on a pty of `columns` by `rows`; all bytes it wrote are in `written`. Ended with the context."""

    def __init__(self, argv: Sequence[str], columns: int = 80, rows: int = 24) -> None:
        self.written = bytearray()
        self._is_gone = False
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # Whoever runs the tests may say how wide another terminal is.
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES"}}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if not self._is_gone:
            os.close(self._master)

    def hang_up(self) -> None:
        """Take the terminal away. It controls no session, so that no SIGHUP tells the program of it."""
        self._is_gone = True
        os.close(self._master)

    def type(self, keys: str) -> None:
        """Send keys; surrogates stand for bytes that are no UTF-8."""
        os.write(self._master, keys.encode("utf-8", "surrogateescape"))

    def read_for(self, seconds: float) -> int:
        """Take in what is written in that time; returns how many bytes that were."""
        before, end = len(self.written), time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if not self._read_once(left):
                break
        return len(self.written) - before

    def read_until(self, condition: Callable[[bytes], bool], seconds: float = 60.0) -> float:
        """Take in until the bytes of this call fulfil the condition; returns the seconds since the program began."""
        start, end = len(self.written), time.perf_counter() + seconds
        while not condition(bytes(self.written[start:])):
            left = end - time.perf_counter()
            if left <= 0 or not self._read_once(left):
                raise TimeoutError(bytes(self.written[-2000:]))
        return time.perf_counter() - self.began

    def read_to_end(self, seconds: float = 60.0) -> float:
        """Take in until the program has ended; returns the seconds since it began."""
        end = time.perf_counter() + seconds
        while self.process.poll() is None:
            if time.perf_counter() > end:
                raise TimeoutError("the program did not end")
            self._read_once(0.01)
        return time.perf_counter() - self.began

    def _read_once(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return self.process.poll() is None
        try:
            self.written += os.read(self._master, 65536)
        except OSError:  # Linux's way to say that the other end of a pty is closed
            return False
        return True

    def read_some(self, seconds: float) -> int:
        """Take in what is written next, at most that long; returns how many bytes that were."""
        before = len(self.written)
        self._read_once(seconds)
        return len(self.written) - before

    def open_console(self, guest: str) -> None:
        """Go to the console of a guest as a user of the full-screen program does, and wait until it takes a line."""
        self.read_until(lambda seen: guest.encode() in seen and b"responding" in seen)
        self.type("/")
        self.read_for(0.3)
        self.type(f"{guest}\r")
        self.read_for(0.3)
        self.type("x")
        self.read_until(lambda seen: b"ready" in seen)

    def cpu_seconds(self) -> float:
        """Processor time of the program so far (proc(5), fields 14 and 15 of stat)."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
