"""Which restore may be undone, where several were made of one guest; without a host."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import a_plan
from tui.backup.errors import BackupError
from tui.backup.journal import Journal, RunStage
from tui.backup.restore.order import FOUND, restores_found
from tui.backup.restore.placing import original_files
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.settle import refuse_what_cannot_be_undone, undoable_restore
from tui.backup.runs import RestoreRun, create_run
from tui.backup.runstate import EXIT_DONE

FIRST, SECOND = "11111111", "22222222"


def restored_in_place(folder: Path, run_id: str) -> RestoreRun:
    """A run that has moved the guest's present images aside and put others in their place."""
    saved = read_saved(folder)
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), run_id=run_id, files=original_files(saved, run_id, {}))
    run = create_run(plan)
    Journal(run.folder).write(RunStage.PLANNED, **{FOUND: restores_found(plan)})
    for file in plan.files:
        Path(file.to).rename(file.aside)
        Path(file.to).write_text(run_id)
    journal = Journal(run.folder)
    journal.write(RunStage.MOVING)
    journal.write(RunStage.DONE, exit_code=EXIT_DONE)
    return run


@pytest.fixture
def backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    images = tmp_path / "images"
    images.mkdir()
    for name in ("web.qcow2", "data.raw"):
        (images / name).write_text("the original")
    return write_backup(tmp_path / "backup", str(images))


@pytest.mark.parametrize("clock", [[2000.0, 1000.0], [1000.0, 1000.0], [1000.0, 2000.0]])
def test_the_order_is_told_by_what_each_restore_found_and_not_by_the_clock(
    backup: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was set back would have the first restore undone under the second one."""
    runs = []
    for run_id, now in zip((FIRST, SECOND), clock, strict=True):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        runs.append(restored_in_place(backup, run_id))
    first, second = runs
    with pytest.raises(BackupError, match="cannot be undone") as refused:
        refuse_what_cannot_be_undone(first)
    assert SECOND in refused.value.cause
    refuse_what_cannot_be_undone(second)
    assert undoable_restore(str(backup)) == second


def test_restores_on_top_of_each_other_are_undone_from_the_top(backup: Path) -> None:
    """Out of order, the original would end among the images that are told to be deleted."""
    first, second = (restored_in_place(backup, run_id) for run_id in (FIRST, SECOND))
    with pytest.raises(BackupError, match="cannot be undone") as refused:
        refuse_what_cannot_be_undone(first)
    assert SECOND in refused.value.cause
    refuse_what_cannot_be_undone(second)
    for file in second.plan.files:
        Path(file.aside).replace(file.to)
    refuse_what_cannot_be_undone(first)
