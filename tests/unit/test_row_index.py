"""Which rows of a view a transcript's lines take: counted from what was measured, guessed where nothing was yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.agent.exec_model import Stream
from tui.console.line_widths import LineWidths, rows_of
from tui.console.transcript import BLOCK, OutputLine, Transcript
from tui.model.text import printable
from tui.widgets.row_index import RowIndex


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def write(transcript: Transcript, text: str, blocks: int = 1) -> None:
    transcript.extend(OutputLine(1, Stream.STDOUT, printable(text)) for _ in range(blocks * BLOCK))


@given(st.lists(st.integers(0, 500), max_size=60), st.integers(1, 200))
def test_the_rows_of_a_block_are_those_of_its_lines(cells: list[int], width: int) -> None:
    is_exact = width >= 40 or any(each > 40 for each in cells)
    assert not is_exact or LineWidths(cells).rows(width) == sum(rows_of(each, width) for each in cells)


def test_a_block_counts_a_row_for_each_line_until_it_is_measured() -> None:
    transcript = Transcript()
    write(transcript, "x" * 150, 3)
    index = RowIndex(transcript, 60)
    assert (index.rows, index.is_measured) == (3 * BLOCK, False)
    assert index.measure(1)
    assert not index.measure(1)
    index.count()
    assert [index.first_row(block) for block in range(4)] == [0, BLOCK, 4 * BLOCK, 5 * BLOCK]
    assert [index.knows(block) for block in range(4)] == [False, True, False, True]
    for _ in range(2):
        index.measure_newest()
    index.count()
    assert (index.rows, index.is_measured) == (9 * BLOCK, True)
    index.resize(160)
    assert index.rows == 3 * BLOCK
    transcript.close()


def test_what_was_measured_once_is_known_to_the_next_index_at_any_width() -> None:
    transcript = Transcript()
    write(transcript, "x" * 150, 2)
    first = RowIndex(transcript, 60)
    for _ in range(2):
        first.measure_newest()
    write(transcript, "x" * 150)
    again = RowIndex(transcript, 50)
    assert (again.rows, again.is_measured) == (2 * 3 * BLOCK + BLOCK, False)
    again.measure_newest()
    again.count()
    assert (again.rows, again.is_measured) == (3 * 3 * BLOCK, True)
    transcript.close()


def test_dropped_blocks_take_no_rows() -> None:
    transcript = Transcript(limit=1_000_000)
    write(transcript, "x" * 150, 4)
    index = RowIndex(transcript, 60)
    index.measure_newest()
    write(transcript, "x" * 150, 12)
    assert transcript.first > 0
    index.grow()
    while not index.is_measured:
        index.measure_newest()
    index.count()
    assert index.rows == 3 * (transcript.total - transcript.first)
    assert index.block_at(0)[0] == transcript.first // BLOCK
    assert len(transcript.widths) == (transcript.total - transcript.first) // BLOCK
    transcript.close()
