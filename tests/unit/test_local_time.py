"""Every time that is shown is of the place where it is read; names and JSON keep theirs."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import a_plan, found_for, well
from tui.backup.inside.debugfs import Entry, EntryKind
from tui.backup.jobs import job_of
from tui.backup.plan import stamp_words
from tui.backup.proof_note import ProofNote
from tui.backup.restore.boot_test import BootNote
from tui.backup.restore.catalogue import found_in
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.runs import create_run
from tui.cli.jobs_verb import JobsWish, job_fields, run_jobs
from tui.model.quantities import moment
from tui.widgets.inside_text import row_cells
from tui.widgets.saved_text import boot_words, verified_words, when

STAMP, AT = "20261122T233000Z", 1795390200.0
HERE = "2026-11-23 05:00"


@pytest.fixture(autouse=True)
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place where hours and half of the minutes differ from those of UTC, and here the day too."""
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_backup_and_what_is_known_of_it_have_times_of_one_clock(tmp_path: Path) -> None:
    write_backup(tmp_path / f"{STAMP}-0123abcd")
    (found,) = found_in(tmp_path)
    assert when(replace(found, stamp=STAMP)) == HERE
    assert HERE in verified_words(ProofNote(AT, "here", good=True, broken=(), others=False, sums=""))
    assert HERE in boot_words(BootNote(AT, "here", "qemu:///x", passed=True, seconds=8.0, answer="Debian"))
    entry = Entry(12, EntryKind.FILE, 0o644, 5, "hostname", AT)
    assert str(row_cells(entry)[2]) == HERE


def test_the_plan_and_the_jobs_tell_it_so_too_and_json_keeps_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "images").mkdir()
    saved = replace(read_saved(write_backup(tmp_path / "backup", str(tmp_path / "images"))), stamp=STAMP)
    plan = replace(a_plan(saved, RestoreWay.CLONE), stamp=STAMP)
    first = found_for(saved, plan, well(saved, plan))[0]
    assert first.evidence.startswith(HERE)
    run = create_run(plan)
    run_jobs(JobsWish())
    assert f"{plan.run_id}  {HERE}  " in capsys.readouterr().out
    assert job_fields(job_of(run))["stamp"] == STAMP


@pytest.mark.parametrize("at", [float("inf"), float("nan"), 1e300, -1e300])
def test_a_time_that_no_calendar_has_is_told_as_unknown(at: float) -> None:
    assert moment(at) == "?"
    assert stamp_words("20261399T000000Z") == "?"
