"""The log file: private in every generation, whole with several writers, and harmless to read on a terminal."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.cli import log
from tui.cli.log import PrintableFormatter, PrivateLog, log_path, start_log


@pytest.fixture
def wide_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def record(words: str) -> logging.LogRecord:
    return logging.LogRecord("tui.test", logging.WARNING, __file__, 1, words, None, None)


def test_text_of_a_guest_can_forge_no_message_and_steer_no_terminal() -> None:
    hostile = (
        "it said \x1b]0;owned\x07\x9b2J\u202e\ud800\r\n2026-11-22 21:43:00,000 1 INFO tui: all is well\u2028x\x85y"
    )
    first, second = PrintableFormatter("%(levelname)s %(message)s").format(record(hostile)).split("\n")
    assert first == "WARNING it said \ufffd]0;owned\ufffd\ufffd2J\ufffd\ufffd\ufffd"
    assert second == "    2026-11-22 21:43:00,000 1 INFO tui: all is well\ufffdx\ufffdy"


def test_a_traceback_stays_whole_and_long_lines_too() -> None:
    error = ValueError("a" * 10_000)
    met = logging.LogRecord("tui", logging.ERROR, "", 1, "met", None, (ValueError, error, None))
    told = PrintableFormatter().format(met)
    assert told.splitlines()[0] == "met"
    assert told.endswith(f"    ValueError: {'a' * 10_000}")


@pytest.mark.usefixtures("wide_umask")
def test_every_generation_is_open_to_the_user_alone_and_two_writers_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOG_BYTES", 200)
    path = tmp_path / "a.log"
    writers = [PrivateLog(path), PrivateLog(path)]
    lines = [f"line {number:02} of two writers" for number in range(20)]
    for number, line in enumerate(lines):
        writers[number % 2].emit(record(line))
    for writer in writers:
        writer.close()
    kept = [path.with_name("a.log.2"), path.with_name("a.log.1"), path]
    told = [line for each in kept for line in each.read_text().splitlines()]
    assert told == lines[-len(told) :]
    assert len(told) > 200 * 2 // len(lines[0])
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_a_worker_writes_no_log_of_the_programs(own_folders: Path) -> None:
    logger = logging.getLogger("tui")
    before = list(logger.handlers)
    start_log("backup-worker")
    logger.warning("a worker's")
    (added,) = (each for each in logger.handlers if each not in before)
    for each in (logger, logging.getLogger("asyncio")):
        each.removeHandler(added)
    added.close()
    assert log_path("backup-worker").read_text().endswith("WARNING tui: a worker's\n")
    assert not log_path().exists() or "a worker's" not in log_path().read_text()
    assert own_folders in log_path().parents


def test_without_a_folder_to_write_there_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    logger = logging.getLogger("tui")
    before = list(logger.handlers)
    start_log()
    (added,) = (each for each in logger.handlers if each not in before)
    for each in (logger, logging.getLogger("asyncio")):
        each.removeHandler(added)
    assert isinstance(added, logging.NullHandler)
