import shutil
from pathlib import Path

import pytest

from tests.unit.saved_folder import change_manifest, write_backup
from tui.backup.folder import VOID
from tui.backup.proof_note import prove_and_note
from tui.backup.restore.catalogue import BackupWord, arranged, found_in, known_targets, look_at, search
from tui.widgets.saved_text import when

STAMP = "20261122T214300Z"


def places(target: Path) -> Path:
    return target / "here" / "web_1"


def test_every_folder_is_shown_for_what_it_is(tmp_path: Path) -> None:
    guest = places(tmp_path)
    write_backup(guest / f"{STAMP}-0123abcd")
    (write_backup(guest / f"{STAMP}-00000001") / "manifest.json").write_text("garbage")
    change_manifest(write_backup(guest / f"{STAMP}-00000002"), schema=99)
    (write_backup(guest / f"{STAMP}-00000003") / "disks/vdb.raw").unlink()
    (guest / f"{STAMP}-00000004.partial/disks").mkdir(parents=True)
    (guest / f"{STAMP}-00000005.partial").mkdir()
    (guest / f"{STAMP}-00000005.partial" / VOID).touch()
    change_manifest(write_backup(tmp_path / "elsewhere"), host={"name": "far", "uri": "qemu:///x", "hostname": "far"})
    (tmp_path / "no backup").mkdir()
    found = {each.folder.name[-8:]: each for each in found_in(tmp_path)}
    assert {name: each.word for name, each in found.items()} == {
        "0123abcd": BackupWord.COMPLETE,
        "00000001": BackupWord.DAMAGED,
        "00000002": BackupWord.NEWER,
        "00000003": BackupWord.DAMAGED,
        ".partial": BackupWord.VOID,
        "lsewhere": BackupWord.COMPLETE,
    }
    assert found["lsewhere"].is_foreign
    assert found["lsewhere"].host == "far"
    assert "vdb: it is missing" in found["00000003"].trouble
    assert (found["00000001"].guest, found["00000001"].host) == ("web_1", "here")
    assert found["0123abcd"].guest == "web 1"


def test_a_backup_itself_may_be_named_and_links_are_not_followed(tmp_path: Path) -> None:
    backup = write_backup(tmp_path / "one" / "backup")
    (tmp_path / "two").mkdir()
    (tmp_path / "two/link").symlink_to(backup.parent)
    assert [each.folder for each in found_in(backup)] == [backup]
    assert found_in(tmp_path / "two") == ()
    assert found_in(tmp_path / "nowhere") == ()


def test_what_lies_too_deep_is_not_looked_for(tmp_path: Path) -> None:
    write_backup(tmp_path / "1/2/3/4")
    assert found_in(tmp_path) == ()
    assert len(found_in(tmp_path / "1")) == 1


async def test_targets_are_searched_at_once_and_each_backup_is_listed_once(tmp_path: Path) -> None:
    old, new = (write_backup(places(tmp_path) / name) for name in (f"{STAMP}-0123abcd", "later"))
    change_manifest(new, stamp="20270101T000000Z")
    other = write_backup(tmp_path / "here/aaa/x")
    change_manifest(other, guest={"name": "aaa", "uuid": "11111111-9a3c-4a35-8d0a-6b7c4a5b2c11"})
    targets = (tmp_path, places(tmp_path), tmp_path / "nowhere", tmp_path)
    batches = [batch async for batch in search(targets)]
    everything = [each for _, batch in batches for each in batch]
    assert {target: len(batch) for target, batch in batches} == dict(zip(targets[:3], (3, 2, 0), strict=True))
    assert [each.folder for each in arranged(everything)] == [other, new, old]
    uuid = next(each.uuid for each in everything if each.guest == "web 1")
    assert [each.folder for each in arranged(everything, uuid)] == [new, old, other]


def test_the_configured_folder_is_known_without_any_run(tmp_path: Path) -> None:
    assert known_targets(tmp_path) == (tmp_path,)
    assert known_targets(None) == ()


@pytest.mark.parametrize("stamp", ["", "99999999T999999Z", "x"])
def test_a_time_that_is_none_is_not_told(tmp_path: Path, stamp: str) -> None:
    write_backup(tmp_path / "b")
    if stamp:
        change_manifest(tmp_path / "b", stamp=stamp)
    (found,) = found_in(tmp_path)
    assert (when(found) == "?") == bool(stamp)


async def test_a_backup_that_failed_its_last_look_is_damaged(tmp_path: Path) -> None:
    folder = write_backup(tmp_path / "b")
    (folder / "disks/vdb.raw").write_bytes(b"the second risk")
    (found,) = found_in(tmp_path)
    assert (found.word, found.verified) == (BackupWord.COMPLETE, None)
    await prove_and_note(folder)
    fresh = look_at(found.folder)
    assert fresh.word is BackupWord.DAMAGED
    assert fresh.verified is not None
    assert "vdb" in fresh.verified.broken


def test_links_that_go_round_in_circles_end_nowhere(tmp_path: Path) -> None:
    folder = write_backup(tmp_path / "b")
    shutil.rmtree(folder / "disks")
    (folder / "disks").symlink_to("disks")
    (tmp_path / "loop").symlink_to("loop")
    (found,) = found_in(tmp_path)
    assert found.word is BackupWord.DAMAGED
    assert found_in(tmp_path / "loop") == ()
