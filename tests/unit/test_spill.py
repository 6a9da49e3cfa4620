"""Output on disk: what a disk that takes no more does to it, and what those see who read on while it is replaced."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.agent.exec_model import End, Finished, Output, Stream
from tui.console import search
from tui.console.charset import Charset
from tui.console.saving import LEGEND, save_transcript
from tui.console.scrollback import Scrollback
from tui.console.spill import HEAD_BYTES, MEMORY_BYTES, MEMORY_FILES, Place, Spill
from tui.console.transcript import BLOCK, NoticeLine, OutputLine, Transcript
from tui.model.text import printable

PIECE = 500_000


@pytest.fixture
def no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder that cannot be made."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))


@pytest.fixture
def little_disk() -> Iterator[int]:
    """The kernel lets files grow to so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * PIECE + 1000, hard))
    yield 3 * PIECE + 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kept(spill: Spill, places: list[Place]) -> list[int]:
    """The first byte of each piece that is still there."""
    found: list[int] = []
    for place in places:
        try:
            data = spill.get(place)
        except KeyError:
            continue
        assert data == data[:1] * PIECE
        found.append(data[0])
    return found


def test_a_short_output_takes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    spill = Spill(2**30)
    pieces = [b"a" * (HEAD_BYTES - 1), b"b" * PIECE, b"c"]
    places = [spill.put(piece) for piece in pieces[:2]]
    assert not (tmp_path / "state").exists()
    places.append(spill.put(pieces[2]))
    assert (tmp_path / "state").exists()
    assert [spill.get(place) for place in places] == pieces
    assert spill.trouble == ""


@pytest.mark.usefixtures("little_disk")
def test_a_piece_that_the_disk_refuses_is_kept_in_memory_whole() -> None:
    spill = Spill(2**30)
    places = [spill.put(bytes([number]) * PIECE) for number in range(6)]
    assert spill.trouble == "File too large"
    assert kept(spill, places) == list(range(6))


@pytest.mark.usefixtures("no_disk")
def test_without_a_disk_only_the_newest_bytes_stay() -> None:
    spill = Spill(2**30)
    places = [spill.put(bytes([number]) * PIECE) for number in range(100)]
    assert spill.trouble == "Not a directory"
    there = kept(spill, places)
    assert there == list(range(there[0], 100))
    assert (MEMORY_FILES - 1) * MEMORY_BYTES <= len(there) * PIECE <= MEMORY_FILES * (MEMORY_BYTES + PIECE)


@pytest.mark.usefixtures("no_disk")
async def test_a_scrollback_without_a_disk_says_so_once_and_goes_on() -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("seq")
    for _ in range(3):
        await scrollback.take(record, Output(Stream.STDOUT, b"line\n" * BLOCK))
    scrollback.end(record, Finished(End.EXITED, 0, None, 1.0, 1, 0))
    entries = list(scrollback.transcript.since())
    assert sum(isinstance(entry, OutputLine) for entry in entries) == 3 * BLOCK
    (said,) = (entry.text for entry in entries if isinstance(entry, NoticeLine))
    assert said.startswith("The disk takes no more output: Not a directory.")
    assert "no longer kept" in said
    assert b"".join([piece async for piece in scrollback.output_of(record, Stream.STDOUT)]) == b"line\n" * 3 * BLOCK


def test_of_a_closed_transcript_nothing_is_kept_and_nothing_is_raised() -> None:
    transcript = Transcript()
    transcript.extend(OutputLine(1, Stream.STDOUT, printable(str(number))) for number in range(20 * BLOCK + 1))
    transcript.close()
    assert [transcript.block(number) for number in range(20)] == [()] * 20
    assert (transcript.first, transcript.total) == (20 * BLOCK, 20 * BLOCK + 1)
    assert [entry.text for entry in transcript.since()] == [str(20 * BLOCK)]


async def test_who_searches_or_saves_while_output_is_read_anew_reads_it_to_its_end(tmp_path: Path) -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("seq")
    lines = [f"line {number}" for number in range(20 * BLOCK)]
    await scrollback.take(record, Output(Stream.STDOUT, "".join(f"{line}\n" for line in lines).encode()))
    scrollback.end(record, Finished(End.EXITED, 0, None, 1.0, 1, 0))
    scrollback.close()
    old = scrollback.transcript
    searching = asyncio.create_task(search.find(old, "line 7", old.total, backwards=True))
    first = asyncio.create_task(search.find(old, "line 0", old.total, backwards=True))
    saving = asyncio.create_task(save_transcript(old, "guest", tmp_path))
    await scrollback.use_charset("latin-1")
    assert scrollback.transcript is not old
    assert not first.done()
    assert await first == 1
    assert await searching == lines.index("line 7999") + 1
    saved = (await saving).read_text().splitlines()
    assert saved[len(LEGEND) + 2 : -1] == [f"  {line}" for line in lines]
