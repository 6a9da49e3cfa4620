"""Folders in the host's memory are known as such, by whatever name they are reached."""

import subprocess
from pathlib import Path

import pytest

from tests.live.backup_fixtures import needs_root
from tui.backup.volatile import volatile_elsewhere, volatile_here


@pytest.mark.parametrize("folder", ["/dev", "/dev/", "/dev/shm", "/dev/not/there", "/dev/../dev//pts/.."])
def test_dev_is_memory_with_all_that_is_not_there_yet(folder: str) -> None:
    assert volatile_here(folder) in ("devtmpfs", "tmpfs")
    assert volatile_elsewhere(folder)


def test_a_link_into_memory_is_memory_and_a_disk_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/shm")
    assert volatile_here(str(tmp_path / "link")) == "tmpfs"
    assert volatile_here(str(tmp_path)) == ""
    assert volatile_here(str(tmp_path / "not/there")) == ""


@pytest.mark.parametrize("folder", ["/", "/var/lib/libvirt/images", "/developers", "/runs/a", "/srv/dev"])
def test_elsewhere_the_name_tells(folder: str) -> None:
    assert volatile_elsewhere(folder) == ""


@needs_root
@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_whatever_is_mounted_is_seen_where_it_is_mounted(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "a mount"
    place.mkdir()
    subprocess.run(["mount", "-t", kind, kind, place], check=True)
    try:
        assert volatile_here(str(place / "below")) == kind
        assert volatile_here(str(tmp_path)) == ""
    finally:
        subprocess.run(["umount", place], check=True)
