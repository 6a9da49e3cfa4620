"""What a console keeps of its commands, over more lines than stay in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.agent.exec_model import End, Finished, Output, Stream
from tui.console import saving
from tui.console import scrollback as kept_scrollback
from tui.console.charset import Charset
from tui.console.saving import LEGEND, save_transcript, text_to_copy
from tui.console.scrollback import Scrollback
from tui.console.transcript import BLOCK, OutputLine

LINES = 3 * BLOCK


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


async def ran(scrollback: Scrollback, line: str, data: bytes) -> None:
    record = scrollback.begin(line)
    await scrollback.take(record, Output(Stream.STDOUT, data))
    scrollback.end(record, Finished(End.EXITED, 0, None, 1.0, len(data), 0))
    scrollback.close()


async def test_one_commands_output_is_copied_or_all_of_it() -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    await ran(scrollback, "first", b"".join(b"a%d\n" % number for number in range(LINES)))
    await ran(scrollback, "second", b"".join(b"\x1b[31mb%d\n" % number for number in range(LINES)))
    transcript = scrollback.transcript
    assert await text_to_copy(transcript, 2) == "".join(f"b{number}\n" for number in range(LINES))
    everything = (await text_to_copy(transcript)).splitlines()
    assert everything[: len(LEGEND)] == list(LEGEND)
    del everything[: len(LEGEND)]
    assert len(everything) == transcript.total == 2 * (LINES + 2)
    assert everything[:2] == [everything[0], "  a0"]
    assert everything[0].endswith("$ first")
    assert everything[-2:] == [f"  b{LINES - 1}", "= exit 0 after 1.0 s"]


async def test_a_saved_transcript_tells_of_each_line_whose_it_is_and_no_output_can_pass_for_another(
    tmp_path: Path,
) -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("./build")
    await scrollback.take(record, Output(Stream.STDOUT, b"= exit 0 after 1.0 s\n! fine\n\n"))
    await scrollback.take(record, Output(Stream.STDERR, b"\x1b[31mno such file\n# a line\n"))
    scrollback.say(record, "a word")
    scrollback.end(record, Finished(End.EXITED, 3, None, 1.0, 1, 0))
    saved = (await save_transcript(scrollback.transcript, "web\x1b]1", tmp_path)).read_text().splitlines()
    assert saved[0].startswith("# Transcript of web\ufffd]1, saved by qga-tui 2")
    assert saved[1 : 1 + len(LEGEND)] == list(LEGEND)
    prompt, *lines = saved[1 + len(LEGEND) :]
    assert prompt.startswith("[2")
    assert prompt.endswith("] $ ./build")
    assert lines == [
        "  = exit 0 after 1.0 s",
        "  ! fine",
        "  ",
        "! no such file",
        "! # a line",
        "· a word",
        "= exit 3 after 1.0 s",
    ]


async def test_colours_that_nobody_resets_leave_no_trace_in_the_text() -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    colours = b"".join(b"\x1b[38;5;%dmline %d\n" % (number % 40, number) for number in range(300))
    await ran(scrollback, "first", b"\x1b[1m" + colours)
    assert await text_to_copy(scrollback.transcript, 1) == "".join(f"line {number}\n" for number in range(300))
    last = [str(entry.text) for entry in scrollback.transcript.since() if isinstance(entry, OutputLine)][-1]
    assert last.endswith("\x1b[38;5;18m\x1b[38;5;19mline 299")


async def test_the_last_output_line_is_found_however_much_came_after_it() -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    assert scrollback.last_line == ""
    await ran(scrollback, "first", b"one\n /tmp \n")
    for _ in range(LINES):
        scrollback.say(None, "words of ours")
    assert scrollback.last_line == "/tmp"


async def test_bytes_of_one_stream_come_without_those_of_the_other() -> None:
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("tar c /etc")
    for stream, data in ((Stream.STDOUT, b"\x1f\x8b"), (Stream.STDERR, b"tar: a warning\n"), (Stream.STDOUT, b"\x08")):
        await scrollback.take(record, Output(stream, data))
    assert [piece async for piece in scrollback.output_of(record, Stream.STDOUT)] == [b"\x1f\x8b", b"\x08"]
    assert [piece async for piece in scrollback.output_of(record, Stream.STDERR)] == [b"tar: a warning\n"]


async def test_bytes_that_are_no_longer_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_scrollback, "KEPT_BYTES", 10)
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("cat")
    for data in (b"a" * 10, b"b" * 10, b"c" * 10):
        await scrollback.take(record, Output(Stream.STDOUT, data))
    output = scrollback.output_of(record, Stream.STDOUT)
    kept = b"".join([piece async for piece in output])
    assert kept.endswith(b"c" * 10)
    assert output.lost == 30 - len(kept) > 0


async def test_what_is_noted_of_a_command_that_runs_on_is_level_however_small_its_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_scrollback, "KEPT_BYTES", 4096)
    scrollback = Scrollback(Charset(), lambda fact: None)
    record = scrollback.begin("tail -f")
    counts = []
    for number in range(4000):
        await scrollback.take(record, Output(Stream.STDOUT, b"line %06d\n" % number))
        counts.append(len(record.items))
    assert max(counts) < 20
    output = scrollback.output_of(record, Stream.STDOUT)
    kept = b"".join([piece async for piece in output])
    assert output.lost + len(kept) == 4000 * 12
    assert kept.endswith(b"line 003999\n")
    assert record.has_written(Stream.STDOUT)


async def test_more_than_a_clipboard_takes_is_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "COPIED_CHARACTERS", 1000)
    scrollback = Scrollback(Charset(), lambda fact: None)
    await ran(scrollback, "first", b"a line of output\n" * 1000)
    with pytest.raises(saving.TooMuchToCopyError, match="Not copied"):
        await text_to_copy(scrollback.transcript)
