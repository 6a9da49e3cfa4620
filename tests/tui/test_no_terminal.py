"""The program without a terminal, or on a poor one: it says so and ends, or it works."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import Terminal

PROGRAM = (sys.executable, "-m", "tui", "-c", "test:///default")
REFUSED = 2
MOST_CPU_S = 20.0
"""Seconds of processor time after which the kernel ends a program that spins."""


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(MOST_CPU_S), int(MOST_CPU_S)))


@contextmanager
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


def run(argv: Sequence[str], stdout: int, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm-256color"}
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=_bounded,
        check=False,
    )


@pytest.mark.parametrize("verb", [(), ("demo",)], ids=["program", "demo"])
def test_without_a_terminal_it_says_so_and_ends(verb: tuple[str, ...], tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        ended = run([*PROGRAM, *verb], out.fileno(), tmp_path)
    assert ended.returncode == REFUSED
    assert b"needs a terminal" in ended.stderr
    assert b"Standard input" in ended.stderr
    assert b"\x1b" not in ended.stderr
    assert (tmp_path / "out").read_bytes() == b""


def test_a_closed_pipe_is_said_and_ends_it(tmp_path: Path) -> None:
    with closed_pipe() as out:
        ended = run(PROGRAM, out, tmp_path)
    assert ended.returncode == REFUSED
    assert b"needs a terminal" in ended.stderr


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_be_drawn_on_is_named(term: str, tmp_path: Path) -> None:
    argv = ["env", f"TERM={term}", f"XDG_STATE_HOME={tmp_path}", *PROGRAM]
    with Terminal(argv) as terminal:
        terminal.read_until(lambda seen: b"cannot show" in seen)
        terminal.read_to_end()
        assert terminal.process.returncode == REFUSED
        assert b"\x1b" not in terminal.written


@pytest.mark.parametrize(("term", "size"), [("linux", (80, 24)), ("xterm", (20, 5)), ("vt100", (60, 20))])
def test_on_a_poor_or_small_terminal_it_works_and_can_be_left(term: str, size: tuple[int, int], tmp_path: Path) -> None:
    argv = ["env", "-u", "COLORTERM", f"TERM={term}", f"XDG_STATE_HOME={tmp_path}", *PROGRAM]
    with Terminal(argv, *size) as terminal:
        terminal.read_until(lambda seen: b"test" in seen)
        for keys in ("i", "\x1b", "d", "\x1b", "?", "\x1b", "B", "\x1b", "R", "\x1b"):
            terminal.type(keys)
            terminal.read_for(0.3)
        assert terminal.process.poll() is None
        terminal.type("\x11")
        terminal.read_to_end()
        assert terminal.process.returncode == 0
