"""The kernel of a guest that does not start from its disks: what of it a backup keeps, and what it says of the rest."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backup_values import a_plan
from tests.unit.saved_folder import change_manifest, write_backup
from tests.unit.test_backup_restore import a_copy
from tui.backup import boot_files
from tui.backup.boot_files import BootFile, from_manifest, keep_boot_files, look_at_boot_files, to_manifest
from tui.backup.folder import ResultFolder
from tui.backup.manifest import Consistency, FreezeReport
from tui.backup.restore.saved import DamagedBackupError, read_saved
from tui.backup.restore_notes import KERNEL_FIRST, restore_notes

COPIES = (a_copy("/images/a"),)
FREEZE = FreezeReport(Consistency.QUIESCED, 1)


def a_domain(**files: Path) -> str:
    named = "".join(f"<{element}> {path} </{element}>" for element, path in files.items())
    return f"<domain type='kvm'><os><type>hvm</type>{named}</os></domain>"


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    made = ResultFolder(tmp_path / "target/host/guest/run")
    made.create()
    return made


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "it's vmlinuz"
    path.write_bytes(b"kernel" * 300_000)
    path.chmod(0o640)
    return path


def test_small_files_are_kept_with_their_sums_for_the_user_alone(folder: ResultFolder, kernel: Path) -> None:
    link = kernel.with_name("link")
    link.symlink_to(kernel)
    files = keep_boot_files(folder, look_at_boot_files(a_domain(kernel=link, initrd=kernel), is_local=True))
    digest = hashlib.sha256(kernel.read_bytes()).hexdigest()
    assert [(each.element, each.path, each.mode, each.sha256, each.reason) for each in files] == [
        ("kernel", str(link), "0640", digest, ""),
        ("initrd", str(kernel), "0640", digest, ""),
    ]
    assert (folder.partial / "boot/kernel").read_bytes() == kernel.read_bytes()
    assert stat.S_IMODE((folder.partial / "boot/initrd").stat().st_mode) == 0o600
    assert from_manifest(to_manifest(files), {each.file: digest for each in files}) == tuple(
        BootFile(each.element, each.path, each.owner, each.group, each.mode) for each in files
    )


def test_what_cannot_be_kept_is_named_with_the_reason(
    folder: ResultFolder, kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    domain = a_domain(kernel=tmp_path / "none", initrd=tmp_path / "pipe", dtb=kernel)
    (far, *_) = look_at_boot_files(domain, is_local=False)
    assert far.reason == "it is not proven to be on this machine"
    monkeypatch.setattr(boot_files, "LIMIT", 1024 * 1024)
    files = look_at_boot_files(domain, is_local=True)
    reasons = ["No such file or directory", "it is no plain file", "it has 1.7 MiB, more than 1.0 MiB"]
    assert [each.reason for each in files] == reasons
    assert keep_boot_files(folder, files) == files
    assert not (folder.partial / "boot").exists()
    assert [each["file"] for each in to_manifest(files)] == ["", "", ""]
    notes = restore_notes(a_plan(), Path("/b"), COPIES, FREEZE, boot_files=files)
    assert f"**Not in this backup: `{tmp_path}/none`, the kernel: No such file or directory.**" in notes


def test_a_file_that_changes_between_look_and_copy_is_what_was_copied_or_is_not_kept(
    folder: ResultFolder, kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.write_text("soon")
    looked = look_at_boot_files(a_domain(kernel=kernel, initrd=gone, dtb=gone), is_local=True)
    kernel.write_bytes(b"another kernel")
    gone.unlink()
    first, second, _ = keep_boot_files(folder, looked)
    assert (first.bytes, first.sha256) == (14, hashlib.sha256(b"another kernel").hexdigest())
    assert second.reason == "No such file or directory"
    (folder.partial / "boot/kernel").unlink()
    (folder.partial / "boot").rmdir()
    monkeypatch.setattr(boot_files, "LIMIT", 10)
    (grown, *_) = keep_boot_files(folder, looked[:1])
    assert grown.reason == "it has more than 10 B"
    assert not (folder.partial / "boot/kernel").exists()


def test_the_notes_put_a_missing_file_back_and_leave_another_one_alone(
    folder: ResultFolder, kernel: Path, tmp_path: Path
) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_text("an initrd")
    files = keep_boot_files(folder, look_at_boot_files(a_domain(kernel=kernel, initrd=initrd), is_local=True))
    before = kernel.read_bytes()
    kernel.unlink()
    initrd.write_text("a newer initrd")
    notes = restore_notes(a_plan(), folder.partial, COPIES, FREEZE, boot_files=files)
    commands = notes.partition("## The kernel")[2].split("```sh")[1].split("```")[0]
    subprocess.run(["sh", "-e", "-c", commands], check=True)
    assert kernel.read_bytes() == before
    assert stat.S_IMODE(kernel.stat().st_mode) == 0o640
    assert initrd.read_text() == "a newer initrd"
    assert KERNEL_FIRST in notes.partition("## Check the backup")[0]
    plain = restore_notes(a_plan(), folder.partial, COPIES, FREEZE)
    assert "## The kernel" not in plain
    assert KERNEL_FIRST not in plain


def test_a_backup_tells_of_the_files_that_are_in_it(tmp_path: Path) -> None:
    place = write_backup(tmp_path / "b")
    assert read_saved(place).boot_files == ()
    (place / "boot").mkdir()
    (place / "boot/kernel").write_text("a kernel")
    told = to_manifest((BootFile("kernel", "/boot/../vmlinuz"), BootFile("initrd", "/boot/i", reason="it is gone")))
    change_manifest(place, boot_files=told)
    assert read_saved(place).boot_files == (BootFile("kernel", "/boot/../vmlinuz"),)


@pytest.mark.parametrize("change", [{"mode": "u+s"}, {"owner": -1}, {"path": ""}, {"path": 7}])
def test_a_manifest_that_lies_about_them_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    place = write_backup(tmp_path / "b")
    (told,) = to_manifest((BootFile("kernel", "/boot/vmlinuz"),))
    change_manifest(place, boot_files=[told | change])
    with pytest.raises(DamagedBackupError):
        read_saved(place)
