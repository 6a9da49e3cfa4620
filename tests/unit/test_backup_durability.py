"""What was said to be written is there, and can be read back: on full disks, with long entries, while others write."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.backup import settled
from tui.backup.durable import append_durably
from tui.backup.folder import ResultFolder
from tui.backup.follow import READ_LIMIT, _Tail
from tui.backup.journal import ENTRY_LIMIT, JOURNAL, Journal, RunStage, read_journal
from tui.backup.settled import read_settled


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, and a little."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("length", [100, 1500, 4095, 5000, 30_000])
def test_every_entry_that_was_written_can_be_read_on_a_disk_that_fills_up(small_disk: Path, length: int) -> None:
    written = 0

    def fill() -> None:
        nonlocal written
        for written in range(10_000):
            Journal(small_disk).write(RunStage.COMMITTING, number=written, words="x" * length)

    with pytest.raises(OSError, match="No space left"):
        fill()
    entries = read_journal(small_disk)
    assert [entry.details["number"] for entry in entries] == list(range(written))
    assert written > 0
    # Of the one that did not fit nothing is there, so that its act is not taken for announced.
    assert (small_disk / JOURNAL).read_bytes().endswith(b"\n")


def test_a_write_that_is_cut_short_by_a_limit_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    append_durably(path, "first")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_durably(path, "x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    append_durably(path, "last")
    assert path.read_text() == "first\nlast\n"


@pytest.mark.parametrize("disks", [1, 100, 1000, 5000])
def test_an_entry_about_many_disks_is_read_back_by_all_who_read_it(tmp_path: Path, disks: int) -> None:
    told = [{"target": f"vd{number}", "base": "/images/" + "x" * 900} for number in range(disks)]
    journal = Journal(tmp_path)
    tail = _Tail(tmp_path / JOURNAL)
    journal.write(RunStage.PLANNED, disks=told)
    journal.write(RunStage.DONE, exit_code=0)
    planned, done = read_journal(tmp_path)
    assert planned.details["disks"] == told
    assert done.stage is RunStage.DONE
    assert len(tail.lines()) == 2


def test_an_entry_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long") as raised:
        Journal(tmp_path).write(RunStage.FAILED, words="x" * ENTRY_LIMIT)
    assert raised.value.errno == errno.EFBIG
    assert read_journal(tmp_path) == ()


def test_a_line_that_nobody_would_write_hides_none_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a\n" + b"x" * (ENTRY_LIMIT + 2 * READ_LIMIT) + b"\nb\n")
    lines = _Tail(path).lines()
    assert (lines[0], lines[-1]) == ("a", "b")


def test_variables_that_are_being_written_are_read_as_they_were_at_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vars.fd"
    path.write_bytes(b"old " * 1000)
    pieces = iter(range(4))

    def fake_sleep(seconds: float) -> None:
        """Stands for the time in which the guest's firmware writes a quarter of its new state."""
        number = next(pieces, None)
        if number is not None:
            with path.open("r+b") as file:
                file.seek(number * 1000)
                file.write(b"new " * 250)

    monkeypatch.setattr(settled, "sleep", fake_sleep)
    folder = ResultFolder(tmp_path / "final")
    folder.partial.mkdir()
    folder.keep_file("nvram/vars.fd", str(path))
    assert (folder.partial / "nvram/vars.fd").read_bytes() == b"new " * 1000


def test_variables_that_never_stand_still_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "PAUSE_S", 0)
    readings = iter(range(1000))
    monkeypatch.setattr(settled, "_read", lambda path: bytes([next(readings) % 256]))
    folder = ResultFolder(tmp_path / "final")
    with pytest.raises(OSError, match="did not stand still"):
        folder.keep_file("nvram/vars.fd", "/nvram/vars.fd")
    assert not list(tmp_path.rglob("vars.fd"))


def test_a_pipe_in_the_variables_place_holds_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "vars.fd")
    with pytest.raises(OSError, match="neither a plain file nor a device"):
        read_settled(tmp_path / "vars.fd")
