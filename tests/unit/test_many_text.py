"""The lines of one command in many guests: who is in a group and why it failed, counts whole however narrow."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from tui.agent.exec_model import End, Finished
from tui.console.many_rows import Row, RunState, grouped
from tui.console.wording import end_in_words
from tui.model.text import printable
from tui.widgets.many_text import lines_each, lines_grouped, summary

NO_ANSWER = "The guest agent did not answer. Restart it."
PLAIN: dict[str, str] = defaultdict(str)


def ended(name: str, seconds: float, *, code: int = 0, end: End = End.EXITED, digest: str = "d") -> Row:
    finished = Finished(end, code, None, seconds, 3, 0)
    return Row(
        name,
        RunState.DONE if code == 0 else RunState.FAILED,
        exit_code=code,
        last_line=printable("up"),
        seconds=seconds,
        words=end_in_words(finished, 7),
        reason=end_in_words(finished, 7, timed=False),
        digest=digest,
    )


def unable(name: str) -> Row:
    return Row(name, RunState.FAILED, words=NO_ANSWER, reason=NO_ANSWER)


ROWS = (
    ended("web1", 0.2),
    unable("mute"),
    ended("db1", 0.3),
    unable("deaf"),
    Row("slow", RunState.RUNNING, begun_at=100.0),
)


def test_a_group_tells_all_its_guests_and_why_they_failed() -> None:
    failed, fine, slow = lines_grouped(ROWS, frozenset(), 107.5)
    assert failed.said == f"mute, deaf: {NO_ANSWER}"
    assert failed.cells == ("✗", "2: mute, deaf", "failed", "", NO_ANSWER)
    assert fine.said == "web1, db1: exit 0"
    assert fine.cells == ("✓", "2: web1, db1", "exit 0", "", "up")
    assert slow.cells == ("▸", "slow", "running", "7 s", "")
    assert [line.is_group for line in (failed, fine, slow)] == [True, True, False]


def test_below_an_unfolded_group_stand_its_guests() -> None:
    lines = lines_grouped(ROWS, frozenset({3}), 107.5)
    assert [line.cells[1] for line in lines] == ["2: mute, deaf", "└ mute", "└ deaf", "2: web1, db1", "slow"]
    assert [line.places for line in lines[1:3]] == [(1,), (3,)]


def test_a_guest_that_is_alone_is_no_group() -> None:
    (line,) = lines_grouped([unable("mute")], frozenset(), 0.0)
    assert line.cells == ("✗", "mute", "failed", "", NO_ANSWER)
    assert not line.is_group


def test_ends_that_differ_are_not_grouped_though_exit_code_and_output_are_the_same() -> None:
    rows = [ended("a", 1.0, code=15), ended("b", 2.0, code=15), ended("c", 3.0, code=15, end=End.TIMED_OUT)]
    assert [group.names for group in grouped(rows)] == [("a", "b"), ("c",)]


def test_guests_that_a_signal_ended_are_grouped_whenever_it_came() -> None:
    killed = [
        Row(
            name,
            RunState.FAILED,
            signal=9,
            seconds=seconds,
            words=f"killed by SIGKILL after {seconds} s",
            reason="killed by SIGKILL",
            digest="d",
        )
        for name, seconds in (("a", 1.0), ("b", 2.0))
    ]
    (line,) = lines_grouped(killed, frozenset(), 0.0)
    assert line.cells[2] == "signal 9"
    assert line.said == "a, b: killed by SIGKILL"


def test_news_of_a_running_guest_stand_in_its_row() -> None:
    running = Row("web1", RunState.RUNNING, begun_at=0.0, last_line=printable("up"), words="The guest is paused.")
    (line,) = lines_each([running], 3.0)
    assert line.cells[-1] == "The guest is paused."
    assert lines_each([replace(running, words="")], 3.0)[0].cells[-1] == "up"


@pytest.mark.parametrize("width", [58, 78, 94])
def test_no_count_is_cut_however_long_the_command(width: int) -> None:
    text = summary("for i in 1 2 3 4 5 6 7 8; do echo step $i; sleep 1; done; df -h /", ROWS, width, PLAIN)
    assert text.plain.startswith("for i")
    assert text.plain.endswith("  ✗ 2 failed  ▸ 1 running  ✓ 2 done")
    assert text.cell_len <= width
