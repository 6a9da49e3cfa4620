"""What `qga-tui exec` shows on a terminal: colours alone steer it, however the bytes were cut, and none goes on."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.console.charset import Charset
from tui.console.sinks import sink_for
from tui.model.text import SGR

RED, GREEN, RESET = "\x1b[31m", "\x1b[1;32m", "\x1b[0m"
PIECES = [
    RED,
    GREEN,
    RESET,
    "\x1b[m",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]0;a\tb\x1b\\",
    "\x1b",
    "\x9b",
    "\t",
    "\n",
    "\r",
    "a",
]


class FakeTerminal(io.BytesIO):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, data: object) -> int:
        assert isinstance(data, bytes)
        self.writes.append(data.decode())
        return len(data)


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)


def shown(*chunks: str, prefix: str = "") -> list[str]:
    """What was written of the chunks."""
    terminal = FakeTerminal()
    sink = sink_for(terminal, Charset(), prefix)
    for chunk in chunks:
        sink.write(chunk.encode())
    sink.finish()
    return [write for write in terminal.writes if write]


def test_a_colour_is_reset_at_each_end_and_chosen_anew() -> None:
    assert shown(f"{RED}one\ntw", f"o{RESET} plain\n") == [
        f"{RED}one{RESET}\n{RED}tw{RESET}",
        f"{RED}o{RESET} plain{RESET}\n",
    ]


@pytest.mark.parametrize("sequence", [RED, "\x1b[2J", "\x1b]52;c;aGk=\x07", "\x1b]0;a\tb\x1b\\", "\x9b31m"])
def test_a_sequence_that_is_cut_anywhere_is_one(sequence: str) -> None:
    whole = "".join(shown(f"a{sequence}b"))
    assert SGR.sub("", whole) == "ab"
    for place in range(1, len(sequence)):
        assert SGR.sub("", "".join(shown(f"a{sequence[:place]}", f"{sequence[place:]}b"))) == "ab"


def test_a_string_that_nobody_ends_holds_up_no_later_line() -> None:
    assert "".join(shown("\x1b]0;title\nnext")) == "0;title\nnext"
    assert "".join(shown("\x1b]", "x" * 5000)).endswith("x" * 5000)


def test_lines_with_a_prefix_keep_colours_too() -> None:
    assert shown(f"{RED}one\ntwo\n", prefix="web1: ") == [f"web1: {RED}one{RESET}\nweb1: {RED}two{RESET}\n"]


@pytest.mark.parametrize("prefix", ["", "web1: "])
def test_no_color_strips_them(monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(f"{RED}one\x1b[2J\n", prefix=prefix) == [f"{prefix}one\n"]


@given(st.lists(st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_write_leaves_a_colour_and_nothing_else_steers(chunks: list[str]) -> None:
    for write in shown(*chunks):
        assert re.sub(r"[\n\t]", "", SGR.sub("", write)).isprintable()
        for line in write.split("\n"):
            assert "\x1b" not in line or line.endswith(RESET)
