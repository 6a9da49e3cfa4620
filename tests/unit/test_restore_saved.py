import json
import os
from pathlib import Path

import pytest

from tests.unit.saved_folder import change_manifest, write_backup
from tui.backup.errors import BackupError
from tui.backup.manifest import Consistency
from tui.backup.restore.saved import DamagedBackupError, NewerBackupError, read_saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_backup(tmp_path / "backup")


def test_a_backup_tells_all_of_itself(folder: Path) -> None:
    saved = read_saved(folder)
    assert (saved.guest, saved.host, saved.consistency) == ("web 1", "here", Consistency.QUIESCED)
    assert [(disk.target, disk.file, disk.mode, disk.problem) for disk in saved.disks] == [
        ("vda", "disks/vda.qcow2", 0o600, ""),
        ("vdb", "disks/vdb.raw", 0o600, ""),
    ]
    assert saved.left_out == ("sda",)
    assert saved.void == ""
    assert set(saved.sums) >= {"disks/vda.qcow2", "manifest.json", "vm.xml"}


def test_a_folder_of_something_else_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no finished backup"):
        read_saved(tmp_path)


@pytest.mark.parametrize("text", ["", "\0\1garbage", "[]", '{"schema": "1"}', '{"schema": 0}', "[" * 100_000])
def test_garbage_for_a_manifest_is_said_to_be_that(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DamagedBackupError, match="manifest cannot be read"):
        read_saved(folder)


def test_a_manifest_of_a_newer_program_names_the_version_that_reads_it(folder: Path) -> None:
    change_manifest(folder, schema=99, tool={"version": "7.1"})
    with pytest.raises(NewerBackupError) as caught:
        read_saved(folder)
    assert "7.1" in caught.value.next_step


@pytest.mark.parametrize("file", ["/etc/shadow", "../other/disk", "disks/../../other", "", "a\0b"])
def test_no_disk_lies_outside_the_folder(folder: Path, file: str) -> None:
    disks = json.loads((folder / "manifest.json").read_text())["disks"]
    change_manifest(folder, disks=[disks[0] | {"file": file}])
    with pytest.raises(DamagedBackupError):
        read_saved(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"original": "images/web.qcow2"},
        {"original": "/images/../etc/passwd"},
        {"target": "vda; reboot"},
        {"sha256": "0" * 63},
        {"mode": "rwx"},
        {"owner": -1},
        {"owner": 2**40},
        {"virtual_bytes": "1"},
        {"format": "vmdk"},
        {"kind": "network"},
    ],
)
def test_a_disk_of_other_values_than_ours_is_refused(folder: Path, change: dict[str, object]) -> None:
    disks = json.loads((folder / "manifest.json").read_text())["disks"]
    change_manifest(folder, disks=[disks[0] | change])
    with pytest.raises(DamagedBackupError, match="damaged"):
        read_saved(folder)


def test_no_disk_twice_and_none_at_all_are_refused(folder: Path) -> None:
    disks = json.loads((folder / "manifest.json").read_text())["disks"]
    for wrong in ([], [disks[0], disks[0]], {"vda": disks[0]}, disks * 200):
        change_manifest(folder, disks=wrong)
        with pytest.raises(DamagedBackupError):
            read_saved(folder)


def test_a_link_leads_nowhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("<domain/>")
    (folder / "vm.xml").unlink()
    (folder / "vm.xml").symlink_to(tmp_path / "secret.xml")
    with pytest.raises(DamagedBackupError):
        read_saved(folder)


def test_a_disk_behind_a_link_of_its_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "disks").rename(tmp_path / "elsewhere")
    (folder / "disks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedBackupError, match="leads out"):
        read_saved(folder)


def test_a_disk_that_is_a_link_a_pipe_or_missing_is_named_and_the_other_one_is_well(folder: Path) -> None:
    disk = folder / "disks/vda.qcow2"
    disk.unlink()
    assert [each.problem for each in read_saved(folder).disks] == ["it is missing", ""]
    disk.symlink_to("/etc/hostname")
    assert read_saved(folder).disks[0].problem == "it is no plain file"
    disk.unlink()
    os.mkfifo(disk)
    assert read_saved(folder).disks[0].problem == "it is no plain file"


def test_a_pipe_in_place_of_a_small_file_is_not_waited_for(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(DamagedBackupError, match="cannot be read"):
        read_saved(folder)


@pytest.mark.parametrize("line", ["x", "0" * 64 + "  ../up", "0" * 64 + "  /etc/passwd", ""])
def test_sums_of_something_else_are_refused(folder: Path, line: str) -> None:
    (folder / "SHA256SUMS").write_text(line)
    with pytest.raises(DamagedBackupError, match="sums"):
        read_saved(folder)


def test_a_copy_that_was_given_up_says_so(folder: Path, tmp_path: Path) -> None:
    (folder / "VOID").write_text("This is no backup")
    assert "void" in read_saved(folder).void
    partial = folder.rename(tmp_path / "x.partial")
    assert "never finished" in read_saved(partial).void


def test_a_definition_of_garbage_is_named(folder: Path) -> None:
    for garbage in ("", "<domain>", "<network/>"):
        (folder / "vm.xml").write_text(garbage)
        with pytest.raises(DamagedBackupError, match="definition"):
            read_saved(folder)
