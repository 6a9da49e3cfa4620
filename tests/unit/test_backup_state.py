import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.errors import BackupError, explained
from tui.backup.follow import follow, read_state
from tui.backup.jobs import job_of
from tui.backup.journal import JOURNAL, Journal, RunStage
from tui.backup.launch import launch
from tui.backup.lock import guest_lock
from tui.backup.progress import Progress, RateMeter, Step, StepStatus
from tui.backup.runs import (
    Run,
    active_run,
    create_run,
    find_run,
    keep_definitions,
    kept_definition,
    list_runs,
    note_worker,
    runs_folder,
    runs_of,
    worker_pid,
)
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE, OverlayState
from tui.backup.telling import headline, overlay_alarm, step_facts
from tui.cli.backup_verb import JsonTeller, LineTeller
from tui.cli.jobs_verb import job_fields
from tui.model.quantities import moment


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return create_run(a_plan())


def copy_half(run: Run) -> None:
    journal, progress = Journal(run.folder), Progress(run.folder)
    progress.step(Step.PREPARE, StepStatus.DONE)
    journal.write(RunStage.SNAPSHOT_TAKEN, consistency="quiesced", frozen_ms=41.5, file_systems=2)
    progress.step(Step.COPY, StepStatus.RUNNING)
    progress.tick(Step.COPY, "vda", 50, 100)
    progress.tick(Step.COPY, "vdb", 0, 300)
    progress.close()


def test_a_run_is_folded_from_its_files(run: Run) -> None:
    note_worker(run, os.getpid())
    copy_half(run)
    state = read_state(run)
    copy = next(step for step in state.steps if step.step is Step.COPY)
    assert (state.stage, state.consistency, state.frozen_ms) == (RunStage.SNAPSHOT_TAKEN, "quiesced", 41.5)
    assert (copy.status, copy.done, copy.total) == (StepStatus.RUNNING, 50, 400)
    assert not state.ended
    assert json.loads(json.dumps(state.to_json()))["steps"][2]["disks"][0]["done"] == 50


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (StepStatus.RUNNING, "50 B of 400 B, 7.5 KiB of holes"),
        (StepStatus.DONE, "400 B, 7.5 KiB of holes"),
    ],
)
def test_the_holes_that_a_copy_passes_over_are_told(run: Run, status: StepStatus, words: str) -> None:
    note_worker(run, os.getpid())
    copy_half(run)
    with closing(Progress(run.folder)) as progress:
        progress.tick(Step.COPY, "vda", 50, 100, skipped=7680)
        progress.tick(Step.VERIFY, "vda", 50, 100, skipped=9)
        progress.step(Step.COPY, status)
    state = read_state(run)
    copy, verify = (next(step for step in state.steps if step.step is wanted) for wanted in (Step.COPY, Step.VERIFY))
    assert step_facts(state, copy) == words
    assert "skipped" not in step_facts(state, replace(verify, status=status))
    told = {step["step"]: step for step in job_fields(job_of(run))["progress"]}  # type: ignore[attr-defined]
    assert told["copy"]["skipped_bytes"] == 7680


def test_a_run_without_its_worker_needs_rescue_once_overlays_may_exist(run: Run) -> None:
    assert read_state(run).exit_code == EXIT_NOT_DONE
    Journal(run.folder).write(RunStage.PLANNED)
    assert read_state(run).exit_code == EXIT_NOT_DONE
    copy_half(run)
    state = read_state(run)
    assert state.exit_code == EXIT_RESCUE
    assert state.error is not None
    assert "died" in state.error.title
    assert next(step for step in state.steps if step.step is Step.COPY).status is StepStatus.FAILED
    Journal(run.folder).write(RunStage.PIVOTED)
    assert read_state(run).exit_code == EXIT_LESS


@pytest.mark.parametrize("line", ["{}", "null", '{"step": "copy", "disk": 7}', '{"step": "x"}', '{"step": []}', "{"])
def test_progress_that_cannot_be_understood_changes_nothing(run: Run, line: str) -> None:
    before = read_state(run)
    (run.folder / "progress.jsonl").write_text(line + "\n")
    assert read_state(run) == before


async def test_a_follower_sees_the_end_and_stops(run: Run) -> None:
    copy_half(run)
    Journal(run.folder).write(RunStage.DONE, exit_code=EXIT_DONE, error=None, shortfalls=[])
    states = [state async for state in follow(run)]
    assert states[-1].exit_code == EXIT_DONE
    assert states[-1].ended


def test_the_command_line_tells_how_long_it_took_and_of_when_the_copy_is(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ((1000.0, RunStage.PLANNED), (1010.0, RunStage.SNAPSHOT_TAKEN), (1192.0, RunStage.DONE))
    told_of_each = {"exit_code": EXIT_DONE}
    journal = [json.dumps({"at": at, "stage": stage, "details": told_of_each}) for at, stage in lines]
    (run.folder / JOURNAL).write_text("\n".join([*journal, ""]))
    state = read_state(run)
    LineTeller().end(state)
    assert f"vda, vdb in 3 min 12 s, as at {moment(1010.0)}\n" in capsys.readouterr().out
    JsonTeller().end(state)
    told = json.loads(capsys.readouterr().out)
    assert (told["took_s"], told["snapshot"]) == (192.0, "1970-01-01T00:16:50+00:00")
    assert job_fields(job_of(run)).items() >= {"took_s": 192.0, "snapshot": told["snapshot"]}.items()


def test_a_failure_keeps_its_words(run: Run) -> None:
    error = BackupError("It failed", cause="because", next_step="Do this.", original="raw")
    words = {"title": "It failed", "cause": "because", "next_step": "Do this.", "original": "raw"}
    Journal(run.folder).write(RunStage.VOID, error=words)
    Journal(run.folder).write(RunStage.FAILED, exit_code=EXIT_NOT_DONE, error=words, shortfalls=["one"])
    state = read_state(run)
    assert state.void
    assert state.error == explained(error)
    assert state.shortfalls == ("one",)


def test_runs_are_found_by_guest_and_worker(run: Run) -> None:
    assert runs_of("here", run.plan.uuid) == list_runs() == (run,)
    assert runs_of("there", run.plan.uuid) == ()
    assert active_run(run.plan.uuid) is None
    note_worker(run, os.getpid())
    assert active_run(run.plan.uuid) == run
    assert active_run(run.plan.uuid, besides=run.plan.run_id) is None
    assert find_run("ffffffff") is None


def test_a_run_whose_worker_is_only_being_started_is_not_taken_for_abandoned(own_folders: Path) -> None:
    run = create_run(a_plan(), stand_in=os.getpid())
    assert active_run(run.plan.uuid) == run
    assert not read_state(run).ended


def test_a_worker_that_cannot_be_started_leaves_no_run(own_folders: Path) -> None:
    with pytest.raises(FileNotFoundError):
        launch(a_plan(), ["/nowhere/no-such-program"])
    assert list_runs() == ()
    assert not any(runs_folder().iterdir())


def test_a_later_process_with_the_same_number_is_not_the_worker(run: Run) -> None:
    note_worker(run, os.getpid())
    assert worker_pid(run) == os.getpid()
    path = run.folder / "worker.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": 1}))
    assert worker_pid(run) is None
    path.write_text('{"pid": -1}')
    assert worker_pid(run) is None


def test_one_guest_has_one_worker(run: Run) -> None:
    with guest_lock(run.plan.uuid), pytest.raises(BackupError, match="Another backup"), guest_lock(run.plan.uuid):
        pass
    with guest_lock(run.plan.uuid):
        assert (run.folder.parent.parent / "locks").is_dir()


def test_the_rate_is_of_the_last_seconds() -> None:
    meter = RateMeter()
    assert meter.rate(0.0, 0) == 0
    assert meter.rate(2.0, 200) == 100
    assert meter.rate(20.0, 200) == 0
    assert meter.rate(21.0, 300) == 100


def test_what_is_no_run_is_left_out_and_holds_nobody_up(own_folders: Path) -> None:
    run = create_run(a_plan())
    folder = run.folder.parent
    for name in ("bytes", "pipe", "link", "empty"):
        (folder / name).mkdir()
    (folder / "bytes" / "plan.json").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(folder / "pipe" / "plan.json")
    (folder / "link" / "plan.json").symlink_to(run.folder / "plan.json")
    (folder / "file").write_text("no folder")
    (run.folder / "worker.json").write_bytes(b"\xff")
    assert list_runs() == (run,)
    assert worker_pid(run) is None


@pytest.mark.parametrize(("used", "free", "alarm"), [(0, 0, 0), (49, 51, 0), (50, 50, 50), (79, 21, 50), (80, 20, 80)])
def test_an_overlay_that_fills_its_room_is_told_while_the_backup_runs(
    run: Run, used: int, free: int, alarm: int
) -> None:
    note_worker(run, os.getpid())
    copy_half(run)
    state = replace(read_state(run), overlays=(OverlayState("vda", used, 0, free), OverlayState("vdb", 0, 0, 100)))
    assert state.overlays[0].alarm == alarm
    assert (f"{alarm} %" in headline(state)) == bool(alarm)
    assert overlay_alarm(replace(state, exit_code=EXIT_DONE)) == ""


def test_the_guests_definitions_are_kept_with_its_run_for_the_user_alone(run: Run) -> None:
    assert kept_definition(run) is None
    keep_definitions(run, "<domain>stored</domain>", "<domain>running</domain>")
    kept = kept_definition(run)
    assert kept is not None
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("<domain>stored</domain>", 0o600)
    assert (run.folder / "vm.live.xml").read_text() == "<domain>running</domain>"
    # A run is found by its plan, whatever else is in its folder.
    assert find_run(run.plan.run_id) == run
