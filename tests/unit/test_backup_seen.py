"""What a look at the runs costs the second time, and that nothing is missed for it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup import attention, follow, seen
from tui.backup.jobs import JobList, JobWord, list_jobs
from tui.backup.journal import Journal, RunStage
from tui.backup.runs import Run, create_run, open_any_run, runs_folder
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE

IDS = ("00000001", "00000002", "00000003")


@pytest.fixture
def ended() -> tuple[Run, ...]:
    """Backups that have come to their end, one of them badly, beside what is no run."""
    runs = tuple(create_run(replace(a_plan(), run_id=run_id)) for run_id in IDS)
    for run, code in zip(runs, (EXIT_DONE, EXIT_DONE, EXIT_NOT_DONE), strict=True):
        Journal(run.folder).write(RunStage.FAILED if code else RunStage.DONE, exit_code=code)
    (runs_folder() / "no-run").mkdir()
    return runs


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of runs that were read."""
    files: list[Path] = []
    piece = follow._Tail._piece

    def fake_open(folder: Path) -> object:
        files.append(folder)
        return open_any_run(folder)

    def fake_piece(tail: follow._Tail, limit: int) -> bytes:
        files.append(tail._path)
        return piece(tail, limit)

    monkeypatch.setattr(seen, "open_any_run", fake_open)
    monkeypatch.setattr(follow._Tail, "_piece", fake_piece)
    return files


def test_runs_that_have_ended_are_read_once(ended: tuple[Run, ...], read: list[Path]) -> None:
    jobs = JobList()
    first = jobs.look()
    assert [(job.run.plan.run_id, job.word) for job in first] == [
        (IDS[2], JobWord.FAILED),
        (IDS[1], JobWord.DONE),
        (IDS[0], JobWord.DONE),
    ]
    assert first == list_jobs()
    read.clear()
    assert jobs.look() == first
    assert read == []


def test_what_is_said_of_an_ended_run_later_is_seen(ended: tuple[Run, ...], read: list[Path]) -> None:
    jobs = JobList()
    jobs.look()
    Journal(ended[2].folder).write(RunStage.DONE, exit_code=EXIT_DONE)
    read.clear()
    assert {job.word for job in jobs.look()} == {JobWord.DONE}
    assert {path.parent.name for path in read if path.name.endswith("jsonl")} == {IDS[2]}


def test_a_run_that_goes_on_is_followed_and_a_folder_that_becomes_one_is_found(
    ended: tuple[Run, ...], read: list[Path]
) -> None:
    runs = seen.SeenRuns()
    assert attention._look(runs) == {}
    begun = create_run(replace(a_plan(), run_id="00000004"), stand_in=os.getpid())
    Journal(begun.folder).write(RunStage.PLANNED)
    assert [state.run_id for state in attention._look(runs).values()] == ["00000004"]
    Journal(begun.folder).write(RunStage.COPIED)
    read.clear()
    assert [state.stage for state in attention._look(runs).values()] == [RunStage.COPIED]
    assert {path.parent.name for path in read} == {"00000004"}
    (runs_folder() / "no-run" / "plan.json").write_text(replace(a_plan(), run_id="00000005").to_json())
    Journal(begun.folder).write(RunStage.DONE, exit_code=EXIT_DONE)
    assert attention._look(runs) == {}
    assert {each.run.plan.run_id for each in runs.look()} == {*IDS, "00000004", "00000005"}
