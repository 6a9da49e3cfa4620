"""A target that does not answer is told of and left behind; one that is slow, or answers late, is waited for."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan, planned
from tests.unit.saved_folder import write_backup
from tui.backup import target as target_module
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.folder import VOID, result_folder
from tui.backup.heartbeat import heartbeat, with_heartbeat
from tui.backup.images import run_program
from tui.backup.journal import Journal, RunStage
from tui.backup.meter import Meter
from tui.backup.restore.catalogue import BackupWord, found_in, look_at
from tui.backup.runs import create_run
from tui.backup.serving import served
from tui.backup.target import SilentTargetError, Target, at_once
from tui.backup.watched import watched

SILENT = "the target does not answer since"


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """What a call waits for in a kernel that does not come back; silence is told of at once."""
    monkeypatch.setattr(target_module, "SILENT_S", 0.0)
    return threading.Event()


async def test_work_that_hangs_is_given_up_when_the_order_to_stop_comes(hung: threading.Event) -> None:
    stop, said = asyncio.Event(), list[str]()

    def tell(words: str) -> None:
        said.append(words)
        stop.set()

    with pytest.raises(CancelledBackupError):
        await Target(Path("/backups"), stop, 3600).do(hung.wait, tell)
    assert said[0].startswith(SILENT)
    assert said[1:] == [""]
    hung.set()


async def test_work_that_hangs_is_given_up_for_good_after_a_while(hung: threading.Event) -> None:
    with pytest.raises(SilentTargetError, match="/backups has not answered since"):
        await Target(Path("/backups"), asyncio.Event(), 0).do(hung.wait)
    hung.set()


async def test_a_late_answer_counts(hung: threading.Event) -> None:
    said: list[str] = []

    def tell(words: str) -> None:
        said.append(words)
        hung.set()

    assert await Target(Path("/backups"), asyncio.Event(), 3600).do(hung.wait, tell)
    assert len(said) == 2


async def test_what_the_work_meets_is_raised(tmp_path: Path) -> None:
    target = Target(tmp_path, asyncio.Event(), 3600)
    with pytest.raises(FileNotFoundError):
        await target.do((tmp_path / "nothing").read_bytes)
    stopped = asyncio.Event()
    stopped.set()
    # An answer that is there counts, whatever was ordered meanwhile.
    assert await replace(target, stop=stopped).do(tmp_path.is_dir)


def test_a_folder_that_does_not_answer_is_asked_once_by_whoever_cannot_wait(
    hung: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert at_once(tmp_path.is_dir, tmp_path) is True
    with pytest.raises(FileNotFoundError):
        at_once((tmp_path / "nothing").read_bytes, tmp_path)
    asked: list[str] = []

    def fake_look() -> bool:
        asked.append("look")
        return hung.wait()

    monkeypatch.setattr(target_module, "LOOK_S", 0.01)
    assert at_once(fake_look, Path("/dead")) is None
    assert at_once(fake_look, Path("/dead")) is None
    assert asked == ["look"]
    hung.set()


async def test_a_copy_that_hangs_is_told_of_and_given_up(hung: threading.Event) -> None:
    meter, waited_for = Meter(), list[str]()

    async def look(waiting: str) -> BackupError | None:
        waited_for.append(waiting)
        return None

    async def copy() -> str:
        with meter.asking():
            await asyncio.Event().wait()
        return ""

    with pytest.raises(SilentTargetError):
        await watched(copy(), meter, look, Path("/backups"), 3600, 0)
    assert waited_for[-1].startswith(SILENT)
    assert meter.stop.is_set()


async def test_a_copy_that_rests_by_order_or_waits_for_room_is_not_silent(hung: threading.Event) -> None:
    meter, waited_for = Meter(), list[str]()

    async def look(waiting: str) -> BackupError | None:
        waited_for.append(waiting)
        return None

    async def copy() -> str:
        meter.owe(3600)
        return "sum"

    assert await watched(copy(), meter, look, Path("/backups"), 3600, 0) == "sum"
    meter.full = True
    meter.owe(0)
    assert await watched(copy(), meter, look, Path("/backups"), 3600, 3600) == "sum"
    assert not any(SILENT in words for words in waited_for)


async def test_programs_that_move_nothing_let_the_target_owe_an_answer() -> None:
    assert heartbeat() is None
    meter = Meter()
    assert await with_heartbeat(run_program("true"), meter) == (0, "", "")
    assert meter.debt.since is None
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"awake\n")
    await process.stdout.readline()
    still = heartbeat()
    process.stdin.write(bytes(2**20) + b"\n")
    await process.stdout.readuntil(b"\0")
    assert still is not None
    assert heartbeat() != still
    process.stdin.close()
    await process.communicate()


async def test_a_served_disk_shows_its_whole_chain_and_is_let_go(tmp_path: Path) -> None:
    below, base = str(tmp_path / "below.qcow2"), str(tmp_path / "base.qcow2")
    await run_program("qemu-img", "create", "-f", "qcow2", below, "1M")
    await run_program("qemu-io", "-c", "write -P 7 0 64k", below)
    await run_program("qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", below, base)
    async with served(planned("vda", base)) as disk:
        _, info, _ = await run_program("qemu-img", "info", "--output=json", "-f", disk.format, disk.base)
        assert json.loads(info)["virtual-size"] == 2**20
        code, said, _ = await run_program("qemu-io", "-r", "-f", "raw", "-c", "read -P 7 0 64k", disk.base)
        assert code == 0, said
        assert (await run_program("qemu-io", "-c", "quit", base))[0] == 1
    assert (await run_program("qemu-io", "-c", "quit", base))[0] == 0
    with pytest.raises(BackupError, match="could not be opened"):
        async with served(planned("vda", str(tmp_path / "nothing"))):
            pass


def test_a_seal_that_was_given_after_all_is_marked_as_void(tmp_path: Path) -> None:
    folder = result_folder(a_plan(target=str(tmp_path)))
    folder.void("it failed")
    folder.create()
    folder.seal()
    folder.void("it failed")
    assert "it failed" in (folder.final / VOID).read_text()


async def test_a_program_marks_a_folder_as_void_once(tmp_path: Path) -> None:
    folder = result_folder(a_plan(target=str(tmp_path)))
    folder.create()
    for why in ("$(it) 'failed'", "for another reason"):
        assert await run_program(*folder.void_words(why)) == (0, "", "")
    assert (folder.partial / VOID).read_text() == "This is no backup: $(it) 'failed'. It may be deleted.\n"
    assert (folder.partial / VOID).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("ending", "unmarked"), [("", BackupWord.COMPLETE), (".partial", BackupWord.PARTIAL)])
def test_a_folder_that_no_mark_could_be_left_in_is_void_by_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, unmarked: BackupWord
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    plan = a_plan(target=str(tmp_path / "backups"))
    final = result_folder(plan).final
    place = write_backup(final.with_name(final.name + ending))
    if ending:
        (place / "SHA256SUMS").unlink()
    run = create_run(plan)
    assert look_at(place).word is unmarked
    Journal(run.folder).write(RunStage.VOID)
    assert look_at(place).word is BackupWord.VOID
    assert [each.word for each in found_in(tmp_path / "backups")] == [BackupWord.VOID]
