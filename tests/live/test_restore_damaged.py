"""Backups that are not what they were, and hosts that are not ready: a clear error, and nothing is changed."""

import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.backup_process import WORKER
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import rescue_by_hand, until
from tests.live.restore_matrix import OFF_SPEC, everything, ruined_images, run_cell
from tests.live.restoring import NAME, back_up, proposed, qga_tui, restored
from tests.live.small_disk import fill_up_to, small_disk
from tests.unit.saved_folder import change_manifest
from tui.backup.journal import Journal, RunStage
from tui.backup.launch import launch
from tui.backup.leftovers import Way
from tui.backup.restore.files import take_back
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import DamagedBackupError, read_saved
from tui.backup.restore.wishes import Wishes
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB
from tui.model.guest import PowerState

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and be another user")
NOBODY = 65534


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with Laboratory() as laboratory:
        await laboratory.add(OFF_SPEC)
        yield laboratory


@pytest.fixture
def target(whole: Path) -> Path:
    """Where more backups are kept."""
    return whole.parents[2]


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the backup, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 80 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    with small_disk(place, 80):
        yield place


def flip(folder: Path) -> None:
    with (folder / "disks/vdb.raw").open("r+b") as file:
        file.seek(3 * MIB)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes((byte ^ 1,)))


def truncate(folder: Path) -> None:
    os.truncate(folder / "disks/vda.qcow2", MIB)


def lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def garble(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(os.urandom(300))


def age(folder: Path) -> None:
    change_manifest(folder, schema=2)


def lead_out(file: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        disks = json.loads((folder / "manifest.json").read_text())["disks"]
        change_manifest(folder, disks=[disks[0] | {"file": file}])

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "damaged: vdb"),
        pytest.param(truncate, "damaged: vda", marks=pytest.mark.long),
        (lose("disks/vdb.raw"), "it is missing"),
        (lose("vm.xml"), "no vm.xml"),
        (lose("SHA256SUMS"), "no SHA256SUMS"),
        pytest.param(lose("vm.live.xml"), "damaged: files", marks=pytest.mark.long),
        (garble, "manifest cannot be read"),
        (age, "newer qga-tui"),
        (lead_out("../../etc/passwd"), "outside its folder"),
        (lead_out("/etc/passwd"), "outside its folder"),
    ],
)
async def test_what_is_damaged_is_named_and_nothing_is_changed(
    lab: Laboratory, host: Host, folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    before = await everything(lab, host)
    damage(folder)
    for how in (("--as", "vault2"), ("--in-place",)):
        code, said = await qga_tui(lab, "restore", str(folder), *how)
        assert (code, words in said) == (EXIT_NOT_DONE, True), said
        assert await everything(lab, host) == before


async def test_a_broken_disk_is_restored_where_its_name_was_accepted(
    lab: Laboratory, host: Host, folder: Path, tmp_path: Path
) -> None:
    flip(folder)
    target = str(tmp_path / "vdb.raw")
    code, said = await qga_tui(lab, "restore", str(folder), "--disk", "vdb", "--to", target, "--accept", "vda")
    assert (code, "--accept vdb" in said) == (EXIT_NOT_DONE, True), said
    code, said = await qga_tui(lab, "restore", str(folder), "--disk", "vdb", "--to", target, "--accept", "vdb")
    assert (code, "as accepted" in said) == (EXIT_LESS, True), said
    assert Path(target).read_bytes() == (folder / "disks/vdb.raw").read_bytes()
    # The other disk is whole, and not kept back for this one's sake.
    code, said = await qga_tui(lab, "restore", str(folder), "--disk", "vda", "--to", str(tmp_path / "vda.qcow2"))
    assert code == EXIT_DONE, said


async def test_a_name_that_is_taken_and_a_path_that_is_there_are_refused(
    lab: Laboratory, host: Host, folder: Path, tmp_path: Path
) -> None:
    before = await everything(lab, host)
    code, said = await qga_tui(lab, "restore", str(folder), "--as", NAME)
    assert (code, f"there is a guest {NAME}" in said) == (EXIT_NOT_DONE, True), said
    there = tmp_path / "there.raw"
    there.write_text("mine")
    code, said = await qga_tui(lab, "restore", str(folder), "--disk", "vdb", "--to", str(there))
    assert (code, "something by that name" in said) == (EXIT_NOT_DONE, True), said
    assert there.read_text() == "mine"
    assert await everything(lab, host) == before


async def test_what_this_host_lacks_is_found_beforehand_and_changed_as_offered(
    lab: Laboratory, host: Host, folder: Path
) -> None:
    stored = (folder / "vm.xml").read_text()
    stored = re.sub("machine='pc-q35-[0-9.]+'", "machine='pc-q35-99.9'", stored)
    stored = stored.replace("<interface type='user'>", "<interface type='bridge'><source bridge='nowhere0'/>")
    (folder / "vm.xml").write_text(stored)
    change_manifest(folder)
    before = await everything(lab, host)
    code, said = await qga_tui(lab, "restore", str(folder), "--as", "vault2", "--dry-run", "--json")
    findings = {finding["title"]: finding for finding in json.loads(said)["findings"] if finding["verdict"] == "failed"}
    assert (code, set(findings)) == (EXIT_NOT_DONE, {"Bridge", "Machine"}), said
    (fix,) = findings["Machine"]["fixes"]
    assert fix["option"] == "--change machine=q35"
    assert await everything(lab, host) == before
    changes = ("--change", "machine=q35", "--change", "bridge:nowhere0=lo")
    code, said = await qga_tui(lab, "restore", str(folder), "--as", "vault2", "--dry-run", *changes)
    assert "changed: machine=q35" in said, said


@needs_root
async def test_a_target_that_is_too_small_is_known_beforehand(
    lab: Laboratory, host: Host, folder: Path, small: Path
) -> None:
    before = await everything(lab, host)
    code, said = await qga_tui(lab, "restore", str(folder), "--as", "vault2", "--to", str(small))
    assert (code, "Space" in said) == (EXIT_NOT_DONE, True), said
    assert list(small.iterdir()) == []
    assert await everything(lab, host) == before


@needs_root
async def test_a_target_that_fills_up_meanwhile_is_left_as_it_was(
    lab: Laboratory, host: Host, folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "fills up"
    place.mkdir()
    with small_disk(place, 300):
        await fills_up_meanwhile(lab, host, folder, place)


async def fills_up_meanwhile(lab: Laboratory, host: Host, folder: Path, small: Path) -> None:
    before = await everything(lab, host)
    run = launch((await proposed(host, folder, Wishes(name="vault2", to=str(small)))).plan, held_worker.argv("copying"))
    await until(lambda: (run.folder / HELD).exists())
    fill_up_to(small, 10)
    (run.folder / GO).touch()
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.error is not None
    assert "full" in state.error.title
    assert [path.name for path in small.iterdir()] == ["filler"]
    assert await everything(lab, host) == before


@needs_root
def test_a_folder_that_may_not_be_read_says_so(folder: Path) -> None:
    folder.parent.chmod(0o711)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(DamagedBackupError, match="cannot be read"):
            read_saved(folder)
    finally:
        os.seteuid(0)


async def test_a_compact_copy_goes_back_into_the_format_it_came_from(lab: Laboratory, host: Host, target: Path) -> None:
    image = lab.disk(NAME, "vdb")
    with image.open("r+b") as file:
        file.write(os.urandom(MIB))
    before, mode = image.read_bytes(), image.stat().st_mode
    folder = await back_up(host, target, compact=True)
    image.write_bytes(b"ruined")
    await restored(host, folder, Wishes(RestoreWay.IN_PLACE))
    assert image.read_bytes() == before
    assert image.stat().st_mode == mode
    code, said = await qga_tui(lab, "restore", str(folder), "--undo")
    assert code == EXIT_DONE, said
    assert image.read_bytes() == b"ruined"
    image.write_bytes(before)


@pytest.mark.parametrize(
    ("way", "moment"),
    [
        pytest.param(RestoreWay.IN_PLACE, "copied", marks=pytest.mark.long),
        (RestoreWay.IN_PLACE, "rename-1"),
        (RestoreWay.IN_PLACE, "rename-2"),
        pytest.param(RestoreWay.IN_PLACE, "defined", marks=pytest.mark.long),
        pytest.param(RestoreWay.CLONE, "copy-mid", marks=pytest.mark.long),
        pytest.param(RestoreWay.CLONE, "rename-1", marks=pytest.mark.long),
        (RestoreWay.CLONE, "defining"),
        (RestoreWay.BOOT_TEST, "started"),
    ],
)
async def test_a_worker_that_is_killed_leaves_the_old_state_or_the_new_one(
    lab: Laboratory, host: Host, whole: Path, way: RestoreWay, moment: str
) -> None:
    assert (await run_cell(lab, host, whole, way, moment)).problems == ()


async def test_an_undo_that_died_half_way_is_finished(lab: Laboratory, host: Host, whole: Path) -> None:
    with ruined_images(lab):
        before = await everything(lab, host)
        run = launch((await proposed(host, whole, Wishes(RestoreWay.IN_PLACE))).plan, WORKER)
        assert (await end_of(run)).exit_code == EXIT_DONE, log_of(run)
        Journal(run.folder).write(RunStage.UNDOING, keep=True)
        take_back(run.plan.files[0], run.plan.run_id, keep=True)
        assert (await find_leftovers(host))[0].way is Way.UNDO
        code, said = await rescue_by_hand(lab)
        assert (code, "is as before the restore" in said) == (EXIT_DONE, True), said
        assert await everything(lab, host) == before
        assert await find_leftovers(host) == ()


@pytest.mark.long
async def test_the_backup_of_a_guest_that_was_off_boots(lab: Laboratory, host: Host, whole: Path) -> None:
    assert (await facts_of(host, NAME)).power is PowerState.OFF
    state = await restored(host, whole, Wishes(RestoreWay.BOOT_TEST))
    assert "its agent answered" in state.outcome
