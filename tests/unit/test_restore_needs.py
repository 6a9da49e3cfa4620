"""What a saved definition needs of its host."""

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.unit.saved_folder import write_backup
from tui.backup.boot_files import BootFile
from tui.backup.restore.misfits import missing_boot_files
from tui.backup.restore.needs import needs_of
from tui.backup.restore.saved import read_saved


def test_a_kernel_beside_the_disks_that_is_missing_is_told(tmp_path: Path) -> None:
    there, missing = tmp_path / "initrd", tmp_path / "vmlinuz"
    there.touch()
    needs = needs_of(
        f"<domain type='kvm'><os><type>hvm</type><kernel> {missing} </kernel><initrd>{there}</initrd></os></domain>"
    )
    assert needs.boot_files == (str(missing), str(there))
    saved = read_saved(write_backup(tmp_path / "b"))
    (misfit,) = missing_boot_files(needs, saved)
    assert misfit.title == "Kernel"
    assert str(missing) in misfit.evidence
    assert misfit.change is None
    assert misfit.evidence.endswith("put it there first")
    holds = replace(saved, boot_files=(BootFile("kernel", str(missing)), BootFile("initrd", str(there))))
    (saved.folder / "boot").mkdir()
    (saved.folder / "boot/kernel").write_text("a kernel")
    (misfit,) = missing_boot_files(needs, replace(holds, folder=saved.folder))
    command = misfit.evidence.partition("put it there first: ")[2].replace("chown 0:0", "chown $(id -u):$(id -g)")
    subprocess.run(["sh", "-c", command], check=True)
    assert missing.read_text() == "a kernel"
    assert missing_boot_files(needs, holds) == []


def test_a_guest_that_starts_from_its_disks_needs_no_kernel() -> None:
    assert needs_of("<domain type='kvm'><os><type>hvm</type></os></domain>").boot_files == ()
