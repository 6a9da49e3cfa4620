"""Disks that are restored alone, one or several in a call: where they go, and as what they are attached."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import NEW, RUN, a_plan, failed, found_for, well
from tui.backup.errors import BackupError
from tui.backup.plan import InvalidPlanError
from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.guest import SERIAL_LIMIT, disk_xml
from tui.backup.restore.placing import attached_files, own_files
from tui.backup.restore.plan import RestorePlan, RestoreWay, read_restore_plan
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.slots import free_slots
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.telling import outcome_of
from tui.backup.restore.wishes import Wishes
from tui.cli.parser import parse
from tui.cli.restore_verb import RestoreWish
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState

BOTH = ("vda", "vdb")


@pytest.fixture
def saved(tmp_path: Path) -> SavedBackup:
    (tmp_path / "images").mkdir()
    return read_saved(write_backup(tmp_path / "backup", str(tmp_path / "images")))


def other_guest(tmp_path: Path) -> DomainFacts:
    image = tmp_path / "images" / "other.qcow2"
    image.touch()
    disks = (Disk("vda", "disk", "file", str(image), "qcow2", "virtio"),)
    return DomainFacts(NEW, "other", PowerState.RUNNING, "", Channel.OPEN, True, disks)


def attaching(saved: SavedBackup, tmp_path: Path) -> RestorePlan:
    files = attached_files(saved, other_guest(tmp_path), Wishes(RestoreWay.ATTACH, disks=BOTH), RUN, ("vdb", "vdd"))
    return replace(a_plan(saved, RestoreWay.ATTACH), guest="other", files=files, own_folder="")


def test_several_disks_go_to_a_folder_under_names_of_their_own(saved: SavedBackup, tmp_path: Path) -> None:
    files = own_files(saved, Wishes(RestoreWay.DISK, disks=("vdb", "vda", "vdb"), to=str(tmp_path)), RUN)
    assert [file.name for file in files] == ["vdb", "vda"]
    assert {Path(file.to).parent for file in files} == {tmp_path}
    plan = replace(a_plan(saved, RestoreWay.DISK), files=files, own_folder="")
    assert read_restore_plan(plan.to_json()) == plan
    assert all(file.to in outcome_of(plan) for file in files)


def test_several_disks_need_a_folder_that_is_there(saved: SavedBackup, tmp_path: Path) -> None:
    for place in ("new", "new/", "backup/manifest.json"):
        with pytest.raises(BackupError, match="no folder") as refused:
            own_files(saved, Wishes(RestoreWay.DISK, disks=BOTH, to=f"{tmp_path}/{place}"), RUN)
        assert refused.value.next_step


@pytest.mark.parametrize(("disks", "words"), [((), "no disk was named"), (("vda", "vdx"), "no disk vdx")])
def test_disks_are_named_and_those_that_are_there_are_told(
    saved: SavedBackup, tmp_path: Path, disks: tuple[str, ...], words: str
) -> None:
    with pytest.raises(BackupError) as refused:
        own_files(saved, Wishes(RestoreWay.DISK, disks=disks, to=str(tmp_path)), RUN)
    assert words in refused.value.cause
    assert "vda, vdb" in refused.value.next_step
    alone = replace(saved, disks=saved.disks[1:])
    (file,) = own_files(alone, Wishes(RestoreWay.DISK, to=str(tmp_path)), RUN)
    assert file.name == "vdb"


def test_each_disk_is_attached_by_a_name_and_a_serial_number_of_its_own(saved: SavedBackup, tmp_path: Path) -> None:
    plan = attaching(saved, tmp_path)
    assert read_restore_plan(plan.to_json()) == plan
    assert {Path(file.to).parent for file in plan.files} == {tmp_path / "images"}
    xmls = [disk_xml(plan, disk) for disk in plan.disks]
    serials = [xml.partition("<serial>")[2].partition("<")[0] for xml in xmls]
    assert len(set(serials)) == 2
    assert all(0 < len(serial) <= SERIAL_LIMIT for serial in serials)
    assert all("<readonly" in xml for xml in xmls)
    commands = [step.command for step in plan_steps(plan) if "attach-disk" in step.command]
    assert [command.split("--mode")[0].split()[-1] for command in commands] == ["vdb", "vdd"]
    for words in (outcome_of(plan), " ".join(f.evidence for f in found_for(saved, plan, running(saved, plan)))):
        assert "as vdb" in words
        assert "as vdd" in words


def running(saved: SavedBackup, plan: RestorePlan) -> Circumstances:
    guest = DomainFacts(plan.uuid, plan.guest, PowerState.RUNNING, "", Channel.OPEN, True)
    return replace(well(saved, plan), guest=guest)


def test_a_plan_that_does_not_say_as_what_a_disk_is_attached_is_none(saved: SavedBackup, tmp_path: Path) -> None:
    plan = attaching(saved, tmp_path)
    for target in ("", "vdd"):
        files = (replace(plan.files[0], attach_as=target), plan.files[1])
        with pytest.raises(InvalidPlanError):
            read_restore_plan(replace(plan, files=files).to_json())


def test_a_guest_without_room_for_all_gets_none(saved: SavedBackup, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="no room for 2"):
        attached_files(saved, other_guest(tmp_path), Wishes(RestoreWay.ATTACH, disks=BOTH), RUN, ("vdz",))


def test_the_command_line_takes_several_disks_and_keeps_the_slash_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wishes = RestoreWish.of(parse(["restore", "b", "--disk", "vda", "--disk", "vdb", "--to", "out/"])).wishes
    assert (wishes.way, wishes.disks, wishes.to) == (RestoreWay.DISK, BOTH, f"{tmp_path}/out/")
    wishes = RestoreWish.of(parse(["restore", "b", "--disk", "vda", "--disk", "vdb", "--attach", "other"])).wishes
    assert (wishes.way, wishes.disks, wishes.to) == (RestoreWay.ATTACH, BOTH, "")


def ports(*models: str, devices: str = "") -> str:
    controllers = "".join(f"<controller type='pci' index='{n}' model='{model}'/>" for n, model in enumerate(models))
    return f"<domain><name>a</name><devices>{controllers}{devices}</devices></domain>"


def test_the_ports_are_counted_that_nothing_is_plugged_into() -> None:
    port = "pcie-root-port"
    disk = "<disk><address type='pci' domain='0x0000' bus='0x{:02x}' slot='0x00' function='0x0'/></disk>"
    assert free_slots(ports("pcie-root", port, port, port)) == 3
    assert free_slots(ports("pcie-root", port, port, port, devices=disk.format(3) + disk.format(0))) == 2
    assert free_slots(ports("pcie-root", *[port] * 11, devices=disk.format(10))) == 10
    assert free_slots(ports("pci-root")) is None


def test_a_guest_with_too_few_ports_is_refused_beforehand(saved: SavedBackup, tmp_path: Path) -> None:
    plan = attaching(saved, tmp_path)
    for free, titles in ((0, ["Guest"]), (1, ["Guest"]), (2, []), (None, [])):
        assert failed(found_for(saved, plan, replace(running(saved, plan), free_slots=free))) == titles
