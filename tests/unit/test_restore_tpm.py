"""Where the saved state of a TPM goes, how it gets there and back, and what a restore finds of it beforehand."""

import asyncio
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import UUID
from tests.unit.saved_folder import change_manifest, write_backup
from tests.unit.test_restore_plan import NEW, RUN, a_plan, facts, found_for, well
from tests.unit.tpm_values import (
    CHOSEN,
    EMULATED,
    ENCRYPTED,
    EXTERNAL,
    SECRET,
    STATE,
    belongs_to_another,
    with_tpm,
    write_copies,
)
from tui.backup import tpm_place
from tui.backup.checks import Verdict
from tui.backup.control import Orders
from tui.backup.errors import BackupError
from tui.backup.host_images import ImageUsers
from tui.backup.meter import Meter, Throttle
from tui.backup.plan import InvalidPlanError
from tui.backup.progress import Progress
from tui.backup.restore.circumstances import PlaceEvidence, _place
from tui.backup.restore.copies import Copies
from tui.backup.restore.definition import explained_changes, restored_xml
from tui.backup.restore.files import can_be_undone, put_in, remove_partials, take_back
from tui.backup.restore.firmware import tpm_files
from tui.backup.restore.misfits import tpm_misfits
from tui.backup.restore.needs import needs_of
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay, aside_of, read_restore_plan, undone_of
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.tpm_copy import copy_state, give_state
from tui.model.guest import PowerState

URI = "qemu:///system"


@pytest.fixture
def default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system's libvirt keeps states, for these tests; not there yet."""
    folder = tmp_path / "default/swtpm"
    monkeypatch.setattr(tpm_place, "SYSTEM_FOLDER", folder)
    return folder


def a_backup(tmp_path: Path, xml: str = EMULATED, *, path: str = "", secret: str = "") -> SavedBackup:
    """The backup of a guest whose TPM's state was in `path`, by default in a folder of libvirt's form."""
    folder = write_copies(write_backup(tmp_path / "backup", str(tmp_path / "images")))
    for name in ("vm.xml", "vm.live.xml"):
        (folder / name).write_text(with_tpm(xml, f"{tmp_path}/images/web.qcow2"))
    tpm = {
        "path": path or f"{tmp_path}/there/swtpm/{UUID}/tpm2",
        "layout": "tpm2",
        "owner": os.geteuid(),
        "group": os.getegid(),
        "mode": "0700",
        "files": list(STATE),
        "secret": secret,
    }
    change_manifest(folder, tpm=tpm)
    return read_saved(folder)


def the_state(saved: SavedBackup, way: RestoreWay, uri: str = URI, uuid: str = NEW) -> RestoredFile:
    (file,) = tpm_files(saved, RUN, way, uri, uuid)
    return file


def with_state(saved: SavedBackup, way: RestoreWay, file: RestoredFile) -> RestorePlan:
    plan = a_plan(saved, way)
    return replace(plan, files=(*plan.files, file))


def in_place_now(saved: SavedBackup) -> RestoredFile:
    file = the_state(saved, RestoreWay.IN_PLACE, uuid=UUID)
    return replace(file, aside=aside_of(file.to, RUN))


def test_a_state_with_a_file_missing_counts_as_none(tmp_path: Path) -> None:
    saved = a_backup(tmp_path)
    assert saved.tpm is not None
    assert saved.tpm.files == tuple(STATE)
    (saved.folder / "tpm/tpm2-00.permall").unlink()
    change_manifest(saved.folder)
    assert read_saved(saved.folder).tpm is None


def test_a_clones_state_is_kept_by_its_own_uuid(tmp_path: Path, default: Path) -> None:
    for number, xml in enumerate((EMULATED, CHOSEN)):
        saved = a_backup(tmp_path / str(number), xml)
        file = the_state(saved, RestoreWay.CLONE)
        assert file.to == str(default / NEW)
        assert file.within == ("tpm2" if xml is EMULATED else "tpm1.2")
    assert tpm_files(replace(saved, tpm=None), RUN, RestoreWay.CLONE, URI, NEW) == ()
    external = replace(saved, stored_xml=with_tpm(EXTERNAL))
    assert tpm_files(external, RUN, RestoreWay.CLONE, URI, NEW) == ()


def test_in_place_it_goes_where_the_definition_or_libvirt_has_it(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    assert the_state(saved, RestoreWay.IN_PLACE, uuid=UUID).to == str(default / UUID)
    chosen = the_state(replace(saved, stored_xml=with_tpm(CHOSEN)), RestoreWay.IN_PLACE, uuid=UUID)
    assert (chosen.to, chosen.within) == ("/chosen/state", "")


def test_the_manifests_word_on_the_place_counts_for_the_same_libvirt_and_its_form_alone(
    tmp_path: Path, default: Path
) -> None:
    there = tmp_path / "there/swtpm"
    saved = a_backup(tmp_path)
    assert the_state(saved, RestoreWay.CLONE).to == str(default / NEW)
    there.mkdir(parents=True)
    assert the_state(saved, RestoreWay.CLONE).to == str(there / NEW)
    assert saved.tpm is not None
    for other in (
        replace(saved, uri="qemu:///session"),
        replace(saved, uuid=NEW),
        replace(saved, tpm=replace(saved.tpm, path=f"{tmp_path}/there/etc/{UUID}/tpm2")),
    ):
        assert the_state(other, RestoreWay.CLONE).to == str(default / NEW)


def test_the_state_travels_as_one_folder_and_back(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    file = in_place_now(saved)
    former = Path(file.to) / "tpm2"
    former.mkdir(parents=True)
    belongs_to_another(default)
    (former / "tpm2-00.permall").write_bytes(b"former")
    assert copy_state(str(saved.folder / "tpm"), file, Meter()) == file.sha256
    assert give_state(file) == []
    for _ in range(2):
        put_in(file)
    placed = Path(file.to) / "tpm2"
    assert {path.name: path.read_bytes() for path in placed.iterdir()} == STATE
    assert {path.stat().st_mode & 0o777 for path in placed.iterdir()} == {0o600}
    assert (placed.stat().st_mode & 0o777, Path(file.to).stat().st_mode & 0o777) == (0o700, 0o711)
    assert (placed.stat().st_uid, Path(file.to).stat().st_uid) == (file.owner, default.stat().st_uid)
    assert can_be_undone(with_state(saved, RestoreWay.IN_PLACE, file))
    for _ in range(2):
        take_back(file, RUN, keep=True)
    assert (former / "tpm2-00.permall").read_bytes() == b"former"
    assert sorted(path.name for path in default.iterdir()) == [UUID, Path(undone_of(file.to, RUN)).name]


def test_what_is_given_up_leaves_neither_a_copy_nor_a_change(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    file = the_state(saved, RestoreWay.CLONE)
    for moved in (False, True):
        copy_state(str(saved.folder / "tpm"), file, Meter())
        if moved:
            put_in(file)
        take_back(file, RUN, keep=False)
        for _ in range(2):
            remove_partials([file])
        assert list(default.iterdir()) == []


def added(folder: Path) -> None:
    (folder / "tpm2-01.permall").write_bytes(b"x")


def changed(folder: Path) -> None:
    (folder / "tpm2-00.permall").write_bytes(b"x")


def removed(folder: Path) -> None:
    (folder / "tpm2-00.permall").unlink()


@pytest.mark.parametrize("change", [added, changed, removed])
def test_a_state_that_is_not_the_saved_one_has_another_sum(
    tmp_path: Path, default: Path, change: Callable[[Path], None]
) -> None:
    saved = a_backup(tmp_path)
    file = the_state(saved, RestoreWay.CLONE)
    change(saved.folder / "tpm")
    assert copy_state(str(saved.folder / "tpm"), file, Meter()) != file.sha256


async def test_a_changed_state_is_put_in_place_only_when_that_was_accepted(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    changed(saved.folder / "tpm")
    file = the_state(saved, RestoreWay.CLONE)
    plan = replace(a_plan(saved, RestoreWay.CLONE), files=(file,))
    progress = Progress(tmp_path)
    orders = Orders(asyncio.Event(), Throttle())
    with pytest.raises(BackupError, match="not what it was"):
        await Copies(plan, progress, orders, 1).write()
    remove_partials([file])
    assert await Copies(replace(plan, accepted=("files",)), progress, orders, 1).write() == ()
    assert (Path(file.partial) / "tpm2/tpm2-00.permall").read_bytes() == b"x"
    progress.close()


@pytest.mark.parametrize(
    ("tpm", "backends", "lacks"),
    [
        (EMULATED, ["passthrough"], 1),
        (EMULATED, ["emulator"], 0),
        (EMULATED, [], 0),
        (EXTERNAL, ["x"], 0),
        ("", ["x"], 0),
    ],
)
def test_a_host_without_swtpm_is_told_of(tpm: str, backends: list[str], lacks: int) -> None:
    values = "".join(f"<value>{each}</value>" for each in backends)
    xml = f"<caps><devices><tpm><enum name='backendModel'>{values}</enum></tpm></devices></caps>"
    assert len(tpm_misfits(needs_of(with_tpm(tpm)), xml)) == lacks


def test_a_plan_with_a_state_survives_its_trip_through_json(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    plan = with_state(saved, RestoreWay.CLONE, the_state(saved, RestoreWay.CLONE))
    assert read_restore_plan(plan.to_json()) == plan
    assert [disk.name for disk in plan.disks] == ["vda", "vdb"]
    for foreign in (the_state(saved, RestoreWay.CLONE, uuid=UUID), replace(plan.files[-1], within="..")):
        with pytest.raises(InvalidPlanError):
            read_restore_plan(with_state(saved, RestoreWay.CLONE, foreign).to_json())


def test_the_command_of_the_plan_copies_what_the_program_copies(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    file = the_state(saved, RestoreWay.CLONE)
    steps = plan_steps(with_state(saved, RestoreWay.BOOT_TEST, file))
    (command,) = (step.command for step in steps if step.title == "Copy tpm")
    subprocess.run(["bash", "-e", "-c", command], cwd=saved.folder, check=True)
    by_hand = {path.name: path.read_bytes() for path in (Path(file.partial) / "tpm2").iterdir()}
    assert by_hand == STATE
    assert any(step.command.endswith("--keep-nvram --tpm") for step in steps)


def test_the_changes_tell_of_the_clones_tpm(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    file = the_state(saved, RestoreWay.CLONE)
    for plan, words in (
        (with_state(saved, RestoreWay.CLONE, file), f"TPM state: in {file.to}"),
        (a_plan(saved, RestoreWay.CLONE), "TPM state: made anew at the first start"),
    ):
        assert words in {change.what for change in explained_changes(plan, saved.stored_xml)}
    without = a_plan(saved, RestoreWay.CLONE)
    external = with_tpm(EXTERNAL)
    assert "without the TPM" in {change.what for change in explained_changes(without, external)}
    assert ET.fromstring(restored_xml(without, external)).find("./devices/tpm") is None


def told_of_tpm(saved: SavedBackup, plan: RestorePlan, **now: object) -> list[tuple[Verdict, str]]:
    found = found_for(saved, plan, replace(well(saved, plan), **now))  # type: ignore[arg-type]
    return [(finding.verdict, finding.evidence) for finding in found if finding.title == "TPM"]


@pytest.mark.parametrize("way", [RestoreWay.CLONE, RestoreWay.IN_PLACE])
def test_a_saved_state_is_restored_without_a_word_of_warning(tmp_path: Path, default: Path, way: RestoreWay) -> None:
    saved = a_backup(tmp_path)
    file = in_place_now(saved) if way is RestoreWay.IN_PLACE else the_state(saved, way)
    ((verdict, evidence),) = told_of_tpm(saved, with_state(saved, way, file))
    assert verdict is Verdict.PASSED
    assert file.to in evidence


@pytest.mark.parametrize(
    ("xml", "way", "words"),
    [
        (EMULATED, RestoreWay.CLONE, "the clone's is empty"),
        (EMULATED, RestoreWay.IN_PLACE, "stays what it is"),
        (EXTERNAL, RestoreWay.CLONE, "the clone is without"),
    ],
)
def test_what_the_restored_guest_will_be_without_is_told(tmp_path: Path, xml: str, way: RestoreWay, words: str) -> None:
    saved = replace(a_backup(tmp_path, xml), tpm=None)
    ((verdict, evidence),) = told_of_tpm(saved, a_plan(saved, way))
    assert verdict is Verdict.WARNING
    assert words in evidence
    assert told_of_tpm(saved, a_plan(replace(saved, stored_xml=with_tpm("")), RestoreWay.DISK)) == []


def test_an_encrypted_state_needs_its_secret(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path, ENCRYPTED, secret=SECRET)
    told = told_of_tpm(saved, with_state(saved, RestoreWay.CLONE, the_state(saved, RestoreWay.CLONE)))
    assert [verdict for verdict, evidence in told if SECRET in evidence] == [Verdict.WARNING]


def test_a_transient_guest_is_not_put_off_for_libvirt_would_delete_its_state(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    plan = with_state(saved, RestoreWay.IN_PLACE, in_place_now(saved))
    transient = replace(facts(saved, PowerState.RUNNING), persistent=False)
    for guest, verdicts in (
        (transient, {Verdict.PASSED, Verdict.FAILED}),
        (replace(transient, persistent=True), {Verdict.PASSED}),
    ):
        assert {verdict for verdict, _ in told_of_tpm(saved, plan, guest=guest)} == verdicts


def test_no_folder_is_moved_aside_that_is_not_the_states_alone(tmp_path: Path, default: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "diary.txt").touch()
    saved = a_backup(tmp_path, CHOSEN.replace("/chosen/state", str(home)))
    file = in_place_now(saved)
    plan = with_state(saved, RestoreWay.IN_PLACE, file)
    place = _place(file, plan, ImageUsers())
    assert place.holds_more
    for wrong in (
        place,
        PlaceEvidence(replace(file, to="/etc", aside=aside_of("/etc", RUN)), True, (), place.folder),
    ):
        ((verdict, _),) = told_of_tpm(saved, plan, places=(wrong,))
        assert verdict is Verdict.FAILED


def test_the_folder_of_all_states_need_not_be_there_yet(tmp_path: Path, default: Path) -> None:
    saved = a_backup(tmp_path)
    file = the_state(saved, RestoreWay.CLONE)
    place = _place(file, with_state(saved, RestoreWay.CLONE, file), ImageUsers())
    assert place.folder is not None
    assert (place.exists, place.holds_more) == (False, False)
