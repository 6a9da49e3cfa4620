"""Lines at the real prompt: what the guest ran is what was entered, in that order, however fast it came."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.host_agent import running
from tests.terminal import Terminal
from tui.widgets.terminal_bytes import PASTE_BEGIN, PASTE_END

PATIENCE_S = 60.0


class Entering:
    """A console on this machine's agent, whose lines leave their numbers in a file."""

    def __init__(self, terminal: Terminal, trace: Path) -> None:
        self.terminal = terminal
        self.trace = trace
        self._seen = len(terminal.written)

    def line(self, number: int, before: str = "") -> str:
        return f"{before}echo {number} >>{self.trace}"

    def type(self, keys: str, pause: float = 0.0, piece: int = 0) -> None:
        """Send keys in pieces of that many characters, a pause behind each; all at once without."""
        for start in range(0, len(keys), piece or len(keys)):
            self.terminal.type(keys[start : start + (piece or len(keys))])
            self.terminal.read_for(pause)

    def ran(self) -> list[str]:
        return self.trace.read_text("utf-8").splitlines() if self.trace.exists() else []

    def until_ran(self, wanted: list[str]) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.ran() != wanted and len(self.ran()) <= len(wanted) and time.monotonic() < end:
            self.terminal.read_for(0.1)
        assert self.ran() == wanted

    def until_seen(self, words: str) -> None:
        """Wait until the words are written, behind those that were waited for before."""
        wanted, end = words.encode(), time.monotonic() + PATIENCE_S
        while (place := self.terminal.written.find(wanted, self._seen)) < 0:
            assert time.monotonic() < end, bytes(self.terminal.written[self._seen :])
            self.terminal.read_some(0.2)
        self._seen = place + len(wanted)


@pytest.fixture(scope="module")
def program(qemu_ga: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    with running(qemu_ga) as agent, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("VISUAL", f"sed -i -e '$a\\echo edited >>{agent.folder}/trace'")
        with Terminal([sys.executable, "-m", "tests.live.agent_console", str(agent.folder / "sock")]) as terminal:
            terminal.read_until(lambda seen: b"x opens" in seen)
            yield terminal
            terminal.type("\x11")
            terminal.read_to_end()
            assert terminal.process.returncode == 0


@pytest.fixture
def entering(program: Terminal, tmp_path: Path) -> Iterator[Entering]:
    """From outside the console, as `x` opens it, to there."""
    yield Entering(program, tmp_path / "trace")
    program.type("\x1b")
    program.read_until(lambda seen: b"x opens" in seen)


@pytest.mark.parametrize(("pause", "piece"), [(0.0, 0), (0.0, 1), (0.002, 1), (0.01, 7), (0.05, 60)])
def test_lines_run_in_the_order_of_entering_at_every_speed(entering: Entering, pause: float, piece: int) -> None:
    """From before the console is there, while a command runs, and after it."""
    lines = [entering.line(0, "sleep 1; "), *(entering.line(number) for number in range(1, 9))]
    entering.type("x" + "".join(f"{line}\r" for line in lines), pause, piece)
    entering.until_ran([str(number) for number in range(9)])


def test_what_is_typed_behind_a_key_of_the_screen_is_another_line(entering: Entering) -> None:
    """^c clears what was typed before it, and nothing after it; up takes a line back that came before."""
    keys = [entering.line(1), "\x03", f"{entering.line(2)}\r", entering.line(3), "\x15", f"{entering.line(4)}\r"]
    entering.type("x" + "".join(keys))
    entering.until_ran(["2", "4"])


@pytest.mark.parametrize("end", ["\r", "\n"], ids=["CR", "LF"])
def test_a_paste_of_several_lines_stays_several_lines(entering: Entering, end: str) -> None:
    script = [
        "for i in 1 2 3",
        "do",
        f"\techo $i >>{entering.trace}",
        "done",
        f"cat >>{entering.trace} <<EOF",
        "  four",
    ]
    entering.type("x")
    entering.until_seen("ready")
    entering.type(PASTE_BEGIN + end.join([*script, "EOF", ""]) + PASTE_END)
    entering.terminal.read_for(0.5)
    assert entering.ran() == []
    entering.type("\r")
    entering.until_seen("7 lines")
    assert entering.ran() == []
    entering.type("\r")
    entering.until_ran(["1", "2", "3", "  four"])


def test_lines_of_a_paste_run_one_by_one_where_that_is_chosen(entering: Entering) -> None:
    entering.type("x")
    entering.until_seen("ready")
    entering.type(PASTE_BEGIN + "\n".join(entering.line(number) for number in range(5)) + PASTE_END + "\r")
    entering.until_seen("5 lines")
    entering.type("\x0c")
    entering.until_ran(list("01234"))


def test_line_feeds_outside_a_paste_make_new_lines_and_run_nothing(entering: Entering) -> None:
    entering.type("x" + "".join(f"{entering.line(number)}\n" for number in range(3)))
    entering.until_seen("x")
    entering.terminal.read_for(1)
    assert entering.ran() == []
    entering.type("\r")
    entering.until_seen("3 lines")
    entering.type(entering.line(3) + "\r\r")
    entering.until_ran(list("0123"))


def test_an_escape_in_a_paste_runs_nothing(entering: Entering) -> None:
    entering.type("x")
    entering.until_seen("ready")
    entering.type(f"{PASTE_BEGIN}echo \x1b[31m\r{entering.line(1)}\r{'r' * 60}\r{PASTE_END}")
    entering.terminal.read_for(1)
    assert entering.ran() == []
    entering.until_seen("cannot be shown")


def test_lines_behind_a_cancelled_command_wait_for_a_word(entering: Entering) -> None:
    entering.type(f"xsleep 100\r{entering.line(1)}\r{entering.line(2)}\r")
    entering.until_seen("2 lines waiting")
    entering.type("\x03")
    entering.until_seen("was cancelled")
    entering.type(f"{entering.line(3)}\r")
    entering.until_seen("3 lines")
    assert entering.ran() == []
    entering.type("\x1b[20~")
    entering.until_seen("go on")
    entering.type("\r")
    entering.until_ran(["1", "2", "3"])


def test_lines_that_wait_are_dropped_by_a_second_cancel(entering: Entering) -> None:
    entering.type(f"xsleep 100\r{entering.line(1)}\r")
    entering.until_seen("1 line waiting")
    entering.type("\x03")
    entering.until_seen("was cancelled")
    entering.type(f"\x03{entering.line(2)}\r")
    entering.until_ran(["2"])


def test_a_program_for_a_terminal_is_asked_about_and_runs_all_the_same(entering: Entering) -> None:
    entering.type(f"xpasswd --help >>{entering.trace}\r")
    entering.until_seen("needs a terminal")
    assert not entering.trace.exists()
    entering.type(f"\x1b\x03{entering.line(1)}\r")
    entering.until_ran(["1"])


def test_the_editor_gives_the_text_back(entering: Entering) -> None:
    """The editor adds a line; nothing runs before enter."""
    entering.type(f"x{entering.line(1)}\x18\x05")
    entering.until_seen("echo edited")
    assert entering.ran() == []
    entering.type("\r")
    entering.until_seen("2 lines")
    entering.type("\r")
    entering.until_ran(["1"])
