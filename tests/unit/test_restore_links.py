"""In place, what a link points at is replaced and the link stays; a device is never replaced by a file."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.live.backup_fixtures import needs_root
from tests.unit.saved_folder import change_manifest, write_backup
from tests.unit.test_restore_plan import RUN, a_plan, failed, found_for, well
from tui.backup.host_images import ImageUsers
from tui.backup.restore.circumstances import _place
from tui.backup.restore.files import put_in, take_back
from tui.backup.restore.placing import original_files
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay, read_restore_plan
from tui.backup.restore.present import moved_since
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.model.disk import Disk


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The guest's first disk is a link into another folder."""
    folder = tmp_path / "images"
    (tmp_path / "real").mkdir()
    folder.mkdir()
    (tmp_path / "real/web.img").write_text("the present one")
    (folder / "web.qcow2").symlink_to("../real/web.img")
    (folder / "data.raw").write_text("the present data")
    return folder


@pytest.fixture
def saved(tmp_path: Path, images: Path) -> SavedBackup:
    return read_saved(write_backup(tmp_path / "backup", str(images)))


def first_file(saved: SavedBackup) -> tuple[RestorePlan, RestoredFile]:
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), files=original_files(saved, RUN, {}))
    assert read_restore_plan(plan.to_json()) == plan
    return plan, plan.files[0]


def test_the_link_stays_and_leads_to_what_was_restored(tmp_path: Path, saved: SavedBackup, images: Path) -> None:
    plan, file = first_file(saved)
    real = tmp_path / "real/web.img"
    assert (file.to, file.named) == (str(real), str(images / "web.qcow2"))
    assert {Path(name).parent for name in (file.partial, file.aside)} == {real.parent}
    assert failed(found_for(saved, plan, well(saved, plan))) == []
    assert moved_since(plan, {"vda": Disk("vda", "disk", "file", str(images / "web.qcow2"), "qcow2")}) == (
        "there is no vdb",
    )
    Path(file.partial).write_text("the restored one")
    put_in(file)
    assert (images / "web.qcow2").is_symlink()
    assert (images / "web.qcow2").read_text() == "the restored one"
    assert Path(file.aside).read_text() == "the present one"
    take_back(file, RUN, keep=True)
    assert (images / "web.qcow2").is_symlink()
    assert (images / "web.qcow2").read_text() == "the present one"


def test_where_the_link_leads_by_now_is_what_counts(tmp_path: Path, saved: SavedBackup, images: Path) -> None:
    change_manifest(saved.folder, disks=_with_first(saved, original=str(tmp_path / "real/web.img")))
    _with_named = _with_first(saved, original=str(tmp_path / "real/web.img"), named=str(images / "web.qcow2"))
    change_manifest(saved.folder, disks=_with_named)
    (images / "web.qcow2").unlink()
    (images / "web.qcow2").symlink_to("../real/moved.img")
    (tmp_path / "real/moved.img").write_text("moved")
    plan, file = first_file(read_saved(saved.folder))
    assert file.to == str(tmp_path / "real/moved.img")
    assert failed(found_for(saved, plan, well(saved, plan))) == []


def _with_first(saved: SavedBackup, **changes: object) -> list[dict[str, object]]:
    first, *others = json.loads((saved.folder / "manifest.json").read_text())["disks"]
    return [first | changes, *others]


@needs_root
@pytest.mark.parametrize("kind", ["file", "block", "volume"])
def test_a_device_is_not_replaced_whatever_a_backup_of_before_calls_it(
    saved: SavedBackup, images: Path, kind: str
) -> None:
    (images / "data.raw").unlink()
    os.mknod(images / "dm-1", stat.S_IFBLK | 0o600, os.makedev(7, 250))
    (images / "data.raw").symlink_to("dm-1")
    disks = json.loads((saved.folder / "manifest.json").read_text())["disks"]
    disks[1].pop("is_device")
    disks[1]["kind"] = kind
    change_manifest(saved.folder, disks=disks)
    of_before = read_saved(saved.folder)
    plan = replace(a_plan(of_before, RestoreWay.IN_PLACE), files=original_files(of_before, RUN, {}))
    assert (plan.files[1].to, plan.files[1].is_device) == (str(images / "data.raw"), True)
    found = found_for(of_before, plan, well(of_before, plan))
    assert failed(found) == ["Disk vdb"]
    (finding,) = (each for each in found if each.title == "Disk vdb")
    assert finding.fixes


@pytest.mark.parametrize("way", [RestoreWay.IN_PLACE, RestoreWay.DISK])
def test_nothing_is_restored_into_memory(saved: SavedBackup, way: RestoreWay) -> None:
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), way=way)
    for to in ("/dev/gone/lv", "/dev/shm/a.raw", "/dev/shm/not/there.raw"):
        file = replace(plan.files[1], to=to, aside="", named=saved.disks[1].original)
        place = _place(file, plan, ImageUsers())
        assert place.in_memory
        now = replace(well(saved, plan), places=(place,))
        found = [each for each in found_for(saved, plan, now) if each.title == "Disk vdb"]
        assert "host's memory" in found[0].evidence
        assert bool(found[0].fixes) is (way is RestoreWay.IN_PLACE)
