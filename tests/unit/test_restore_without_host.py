"""Disks come out of a backup, and are verified, on a machine where no libvirt runs: a backup server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_backup_proof import BIG, a_backup, pytestmark

__all__ = ["pytestmark"]
REPOSITORY = Path(__file__).parents[2]
NOWHERE = "qemu:///system?socket=/no/such/libvirt-sock"


def program(*words: str) -> tuple[int, str]:
    """What `qga-tui` exits with, and says, where nothing answers for libvirt."""
    argv = [sys.executable, "-m", "tui", "-c", NOWHERE, *words]
    ended = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, check=False, text=True)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("disk", ["vda", "vdb"])
def test_a_disk_is_restored_to_a_path_and_verified_without_a_libvirt(tmp_path: Path, disk: str) -> None:
    backup, to = a_backup(tmp_path / "b"), tmp_path / "out.img"
    code, said = program("restore", str(backup), "--disk", disk, "--to", str(to), "--dry-run")
    assert (code, to.exists()) == (0, False), said
    code, said = program("restore", str(backup), "--disk", disk, "--to", str(to))
    assert code == 0, said
    (copy,) = (backup / "disks").glob(f"{disk}.*")
    assert to.read_bytes() == copy.read_bytes()
    assert program("verify", str(backup))[0] == 0
    # What is there already is not written over, though no host could say whose it is.
    code, said = program("restore", str(backup), "--disk", disk, "--to", str(to))
    assert code != 0
    assert "there is something by that name" in said
    assert to.read_bytes() == copy.read_bytes()


def test_a_broken_copy_is_not_restored(tmp_path: Path) -> None:
    backup, to = a_backup(tmp_path / "b"), tmp_path / "out.img"
    with (backup / "disks/vdb.raw").open("r+b") as file:
        file.seek(BIG // 2)
        file.write(b"!")
    code, said = program("restore", str(backup), "--disk", "vdb", "--to", str(to))
    assert code != 0, said
    assert not to.exists()


def test_a_clone_still_asks_for_the_host(tmp_path: Path) -> None:
    code, said = program("restore", str(a_backup(tmp_path / "b")), "--dry-run")
    assert code != 0
    assert "no libvirt daemon listens there" in said
