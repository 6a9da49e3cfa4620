from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.exec_model import Stream
from tui.console.transcript import (
    BLOCK,
    EndLine,
    Entry,
    LineAssembler,
    NoticeLine,
    OutputLine,
    PromptLine,
    Transcript,
    shown_line,
)
from tui.model.text import SHOWN_LIMIT, printable


def lines_of(*texts: str) -> list[str]:
    assembler = LineAssembler()
    lines = [line for text in texts for line in assembler.feed(text)]
    return lines + assembler.flush()


def test_lines_end_at_newlines_and_the_rest_is_kept_open() -> None:
    assembler = LineAssembler()
    assert assembler.feed("one\r\ntwo\nthr") == ["one", "two"]
    assert assembler.partial == "thr"
    assert assembler.feed("ee") == []
    assert assembler.flush() == ["three"]
    assert assembler.flush() == []


def test_a_lone_return_overwrites_like_a_terminal() -> None:
    assert lines_of("10 %\r20 %\r100 %\n") == ["100 %"]
    assert lines_of("12345\rab\n") == ["ab345"]
    assert lines_of("12345\r", "ab\r", "\n") == ["ab345"]


def test_endless_lines_become_several() -> None:
    lines = lines_of("x" * (2 * SHOWN_LIMIT + 5))
    assert [len(line) for line in lines] == [SHOWN_LIMIT, SHOWN_LIMIT, 5]


@given(st.text(alphabet="ab\r\n", max_size=30), st.integers(0, 30))
def test_where_text_is_cut_does_not_matter(text: str, cut: int) -> None:
    assert lines_of(text[:cut], text[cut:]) == lines_of(text)


def test_tabs_are_expanded_and_control_sequences_go_but_colours_stay() -> None:
    assert shown_line("a\tb\x1b[2J\x1b[1;31mc\x1b[m\x1b]0;t\x07d\x1b]52;c;") == "a       b\x1b[1;31mc\x1b[md52;c;"


def test_entries_go_to_disk_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    transcript = Transcript()
    shown: list[Entry] = [
        PromptLine(1, shown_line("run me"), 1.5),
        OutputLine(1, Stream.STDOUT, shown_line("ö \x1b[31mred")),
        OutputLine(1, Stream.STDERR, shown_line("")),
        NoticeLine(1, shown_line("noted")),
        EndLine(1, shown_line("exit 0"), is_good=True),
        EndLine(1, shown_line("exit 1"), is_good=False),
    ] * (2 * BLOCK)
    transcript.extend(shown)
    assert transcript.total == len(shown)
    assert list(transcript.since()) == shown
    assert list(transcript.since(BLOCK + 7)) == shown[BLOCK + 7 :]
    transcript.append(shown[1])
    assert list(transcript.since(len(shown))) == [shown[1]]
    assert list(tmp_path.rglob("*.*")) == []
    transcript.close()


def test_the_oldest_blocks_are_dropped_past_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    transcript = Transcript(limit=100_000)
    for number in range(100 * BLOCK):
        transcript.append(OutputLine(1, Stream.STDOUT, printable(str(number))))
    assert 0 < transcript.first < transcript.total == 100 * BLOCK
    kept = [entry.text for entry in transcript.since()]
    assert kept == [str(number) for number in range(transcript.first, transcript.total)]
    assert transcript.block(0) == ()
    transcript.close()
