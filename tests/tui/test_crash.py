"""A crash leaves its traceback in the log, whole and harmless, and nothing of it on the terminal."""

from __future__ import annotations

import asyncio
import gc
import logging
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.worker import WorkerFailed

from tests.live.piloted import until
from tui.app import QgaTui
from tui.cli.log import log_path, start_log, tell_of_threads

HOSTILE = "of a guest \x1b]0;owned\x07\x9b2J\n2026-11-22 21:43:00,000 1 INFO tui: all is well"


def boom() -> None:
    raise LookupError(HOSTILE)


async def boom_later() -> None:
    boom()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program's log, begun for this test."""
    loggers = [logging.getLogger(name) for name in ("tui", "asyncio")]
    before = [list(each.handlers) for each in loggers]
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    start_log()
    tell_of_threads()
    yield log_path()
    for each, handlers in zip(loggers, before, strict=True):
        for added in set(each.handlers) - set(handlers):
            each.removeHandler(added)
            added.close()


def assert_told(log: Path) -> None:
    told = log.read_text()
    assert told.count("Traceback (most recent call last)") == 1
    assert "in boom\n" in told
    assert "LookupError: of a guest \ufffd]0;owned\ufffd\ufffd2J\n    2026-11-22 21:43:00,000 1 INFO tui: all" in told
    assert not set(told) & {"\x1b", "\x07", "\x9b"}
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def crash(app: QgaTui, kind: str) -> None:
    async with app.run_test() as pilot:
        if kind == "handler":
            app.call_later(boom)
        else:
            app.run_worker(boom_later())
        await until(pilot, lambda: app.crash is not None)


@pytest.mark.parametrize("kind", ["handler", "worker"])
async def test_what_ends_the_program_is_told_in_the_log_and_not_on_the_terminal(
    log: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = QgaTui(())
    with pytest.raises((LookupError, WorkerFailed)):
        await crash(app, kind)
    assert_told(log)
    app._print_error_renderables()
    assert capsys.readouterr() == ("", "")


async def test_what_ends_a_task_that_nobody_waits_for_is_told(log: Path) -> None:
    task = asyncio.create_task(boom_later())
    await asyncio.wait({task})
    del task
    gc.collect()
    assert_told(log)


def test_what_ends_a_thread_is_told(log: Path) -> None:
    thread = threading.Thread(target=boom, name="of-this-test")
    thread.start()
    thread.join()
    assert "of-this-test ended" in log.read_text()
    assert_told(log)
