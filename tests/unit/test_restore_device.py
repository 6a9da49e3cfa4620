"""A disk that was on a block device, restored in place: as a file, offered where the device would be replaced."""

import shlex
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import ROOM, RUN, a_plan, failed, found_for, well
from tui.backup.checks import Verdict
from tui.backup.errors import BackupError
from tui.backup.plan import DiskKind
from tui.backup.restore.definition import explained_changes, restored_xml
from tui.backup.restore.placing import original_files
from tui.backup.restore.plan import Change, ChangeKind, RestorePlan, RestoreWay, read_change, read_restore_plan
from tui.backup.restore.propose import _refuse_foreign_wishes, _wanted_files
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.telling import outcome_of
from tui.backup.restore.wishes import Wishes

DEVICE = "/dev/vg/data"


@pytest.fixture
def saved(tmp_path: Path) -> SavedBackup:
    """Its vdb was on a device."""
    (tmp_path / "images").mkdir()
    found = read_saved(write_backup(tmp_path / "backup", str(tmp_path / "images")))
    stored = found.stored_xml.replace("/images/data.raw", DEVICE)
    on_device = replace(found.disks[1], kind=DiskKind.BLOCK, original=DEVICE)
    return replace(found, stored_xml=stored, disks=(found.disks[0], on_device))


def in_place(saved: SavedBackup, *changes: Change) -> RestorePlan:
    wishes = Wishes(RestoreWay.IN_PLACE, changes=changes)
    files = original_files(saved, RUN, _wanted_files(wishes))
    return replace(a_plan(saved, RestoreWay.IN_PLACE), files=files, changes=changes)


def offered(saved: SavedBackup) -> Change:
    plan = in_place(saved)
    (finding,) = (each for each in found_for(saved, plan, well(saved, plan)) if each.verdict is Verdict.FAILED)
    (fix,) = finding.fixes
    (change,) = fix.wishes.changes
    assert shlex.split(fix.option) == ["--change", change.word]
    assert read_change(change.word) == change
    return change


def test_a_device_is_refused_with_the_file_that_is_offered_and_no_other_reason(saved: SavedBackup) -> None:
    plan = in_place(saved)
    devices = replace(ROOM, device=5, free_bytes=0)
    now = well(saved, plan)
    places = tuple(replace(p, folder=devices) if p.file.name == "vdb" else p for p in now.places)
    assert failed(found_for(saved, plan, replace(now, places=places))) == ["Disk vdb"]
    change = offered(saved)
    assert Path(change.value).parent == Path(saved.disks[0].original).parent
    assert RUN in change.value


def test_as_a_file_it_replaces_nothing_and_the_definition_names_it(saved: SavedBackup) -> None:
    change = offered(saved)
    plan = in_place(saved, change)
    assert read_restore_plan(plan.to_json()) == plan
    assert failed(found_for(saved, plan, well(saved, plan))) == []
    (vdb,) = (file for file in plan.files if file.name == "vdb")
    assert (vdb.to, vdb.aside, vdb.kind) == (change.value, "", DiskKind.FILE)
    disks = ET.fromstring(restored_xml(plan, saved.stored_xml)).findall("./devices/disk")
    vda, vdb_element = (disks[at].find("source") for at in (0, 1))
    assert vda is not None
    assert vdb_element is not None
    assert vda.get("file") == saved.disks[0].original
    assert (disks[1].get("type"), vdb_element.attrib) == ("file", {"file": change.value})
    told = [each for each in explained_changes(plan, saved.stored_xml) if "vdb" in each.what]
    assert any("stays as it is" in each.why for each in told)
    assert f"vdb is {change.value} now" in outcome_of(plan)


def test_a_file_that_is_there_is_not_replaced(saved: SavedBackup) -> None:
    plan = in_place(saved, offered(saved))
    now = well(saved, plan)
    places = tuple(replace(place, exists=True) for place in now.places)
    assert "Disk vdb" in failed(found_for(saved, plan, replace(now, places=places)))


@pytest.mark.parametrize(
    ("way", "change"),
    [
        (RestoreWay.CLONE, Change(ChangeKind.FILE, "vdb", "/images/a.raw")),
        (RestoreWay.IN_PLACE, Change(ChangeKind.FILE, "vdx", "/images/a.raw")),
        (RestoreWay.IN_PLACE, Change(ChangeKind.FILE, "vdb", "a.raw")),
        (RestoreWay.IN_PLACE, Change(ChangeKind.FILE, "vdb", "/images/")),
        (RestoreWay.IN_PLACE, Change(ChangeKind.FILE, "vdb")),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(saved: SavedBackup, way: RestoreWay, change: Change) -> None:
    with pytest.raises(BackupError):
        _refuse_foreign_wishes(saved, Wishes(way, changes=(change,)))
