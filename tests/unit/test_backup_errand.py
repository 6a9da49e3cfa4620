"""A process that sets guests right while nobody listens: what became of whoever began it does not matter to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.fake_errand import FAKE_ERRAND, PATIENCE_S, until_there
from tui.backup import ending
from tui.backup.errand import errand_log, run_errand
from tui.backup.runs import LOG, runs_folder

PARENT = """
import asyncio, sys
from pathlib import Path
from tui.backup.errand import run_errand
folder = Path(sys.argv[1])

async def begin():
    task = asyncio.create_task(run_errand((sys.executable, "-c", sys.argv[2], str(folder)), folder / "log"))
    while not (folder / "begun").exists():
        await asyncio.sleep(0.01)
    task.cancel()

asyncio.run(begin())
"""


async def test_its_answer_is_told_and_its_complaints_are_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier one\n")
    script = "import sys; print('[1]'); print('why', file=sys.stderr); sys.exit(3)"
    ended = await run_errand((sys.executable, "-c", script), tmp_path / "log")
    assert (ended.code, ended.answer, ended.said) == (3, "[1]\n", "why\n")
    assert (tmp_path / "log").read_text() == "of an earlier one\nwhy\n"
    with pytest.raises(OSError, match="no-such-program"):
        await run_errand((str(tmp_path / "no-such-program"),), tmp_path / "log")


async def test_how_far_it_is_is_told_and_is_no_complaint(tmp_path: Path) -> None:
    heard: list[str] = []
    script = "import sys; print('doing: merging vda: 7 %\\nwhy\\ndoing: torn', end='', file=sys.stderr)"
    ended = await run_errand((sys.executable, "-c", script), tmp_path / "log", heard.append)
    assert set(heard) == {"merging vda: 7 %"}
    assert ended.said == "why\n"


def test_it_comes_to_its_end_when_the_program_that_began_it_has_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    subprocess.run([sys.executable, "-c", PARENT, tmp_path, FAKE_ERRAND], check=True, timeout=PATIENCE_S)
    assert (tmp_path / "begun").exists()
    (tmp_path / "gate").write_text("go")
    until_there(tmp_path / "done")
    assert (tmp_path / "log").read_text().endswith("not thawed: no answer\n")


def test_the_log_is_the_runs_own_where_there_is_one() -> None:
    shared = errand_log("00000000")
    assert shared.parent.is_dir()
    (runs_folder() / "0123abcd").mkdir(parents=True)
    assert errand_log("0123abcd") == runs_folder() / "0123abcd" / LOG
    assert shared != errand_log("0123abcd")


def test_a_log_that_nobody_hears_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1, closefd=False) as deaf:
        monkeypatch.setattr(sys, "stderr", deaf)
        ending.say_in_log("not thawed")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
    os.close(writing)
