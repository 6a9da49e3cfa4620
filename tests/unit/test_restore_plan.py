"""The definition a restore makes, what it finds beforehand, and how it ends; without a host."""

import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from shlex import quote

import pytest

from tests.unit.saved_folder import write_backup
from tui.backup.checks import Verdict
from tui.backup.errors import BackupError
from tui.backup.jobs import Job, JobWord
from tui.backup.journal import Entry, RunStage
from tui.backup.leftovers import RestoreEvidence, Way
from tui.backup.meaning import restore_leftover
from tui.backup.plan import overlay_beside
from tui.backup.progress import Step
from tui.backup.proof import DiskProof, Proof
from tui.backup.reach import FileSystem
from tui.backup.restore.circumstances import Circumstances, PlaceEvidence
from tui.backup.restore.definition import explained_changes, restored_xml
from tui.backup.restore.findings import findings_of
from tui.backup.restore.misfits import Misfit
from tui.backup.restore.naming import free_name, unfit_name
from tui.backup.restore.needs import needs_of
from tui.backup.restore.placing import clone_files, image_path, original_files
from tui.backup.restore.plan import Change, ChangeKind, RestorePlan, RestoreWay, StopWay, aside_of, partial_of
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.verifying import BrokenBackupError, refuse_broken
from tui.backup.restore.wishes import Finding, Wishes
from tui.backup.runfold import first_state, with_entry, without_worker
from tui.backup.runs import RestoreRun
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.telling import headline
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState

RUN, NEW = "0123abcd", "11111111-2222-3333-4444-555555555555"
ROOM = FileSystem(1, 10**12, writable=True)


@pytest.fixture
def saved(tmp_path: Path) -> SavedBackup:
    (tmp_path / "images").mkdir()
    return read_saved(write_backup(tmp_path / "backup", str(tmp_path / "images")))


def a_plan(saved: SavedBackup, way: RestoreWay) -> RestorePlan:
    folder = "/images/web2"
    clone = way is not RestoreWay.IN_PLACE
    return RestorePlan(
        run_id=RUN,
        stamp="20261122T214300Z",
        host="here",
        uri="qemu:///system",
        way=way,
        folder=str(saved.folder),
        source=saved.guest,
        guest="web2" if clone else saved.guest,
        uuid=NEW if clone else saved.uuid,
        files=clone_files(saved, RUN, folder) if clone else original_files(saved, RUN, {}),
        own_folder=folder if clone else "",
    )


def well(saved: SavedBackup, plan: RestorePlan) -> Circumstances:
    places = tuple(PlaceEvidence(file, bool(file.aside), (), ROOM) for file in plan.files)
    return Circumstances(
        is_local=True,
        has_qemu_img=True,
        needs=needs_of(saved.stored_xml),
        guest=None,
        by_name=None,
        taken_names=frozenset(),
        places=places,
        own_folder_exists=False,
        user=0,
        hostname=saved.hostname,
    )


def facts(saved: SavedBackup, power: PowerState, name: str = "") -> DomainFacts:
    return DomainFacts(saved.uuid, name or saved.guest, power, "", Channel.OPEN, True, ())


def failed(found: tuple[Finding, ...]) -> list[str]:
    return [finding.title for finding in found if finding.verdict is Verdict.FAILED]


def found_for(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> tuple[Finding, ...]:
    return findings_of(saved, plan, Wishes(plan.way), now)


def test_a_clone_has_its_own_name_uuid_and_images(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    root = ET.fromstring(restored_xml(plan, saved.stored_xml))
    assert (root.findtext("name"), root.findtext("uuid")) == ("web2", NEW)
    sources = [element.get("file") for element in root.findall("./devices/disk/source")]
    assert sources == ["/images/web2/vda.qcow2", "/images/web2/vdb.raw"]
    link = root.find("./devices/interface/link")
    assert link is not None
    assert link.get("state") == "down"
    raised = ET.fromstring(restored_xml(replace(plan, link_down=False), saved.stored_xml))
    assert raised.find("./devices/interface/link") is None
    told = " ".join(f"{change.what}: {change.why}" for change in explained_changes(plan, saved.stored_xml))
    for words in ("web2", NEW, "MAC", "links down", "without the disks or media of sda"):
        assert words in told


def test_a_boot_test_never_has_a_network(saved: SavedBackup) -> None:
    plan = replace(a_plan(saved, RestoreWay.BOOT_TEST), link_down=False)
    link = ET.fromstring(restored_xml(plan, saved.stored_xml)).find("./devices/interface/link")
    assert link is not None
    assert link.get("state") == "down"


def test_a_clone_has_its_own_uefi_variables_or_new_ones(saved: SavedBackup) -> None:
    stored = saved.stored_xml.replace(
        "<devices>", "<os><nvram template='/usr/OVMF_VARS.fd'>/nvram/web.fd</nvram></os><devices>"
    )
    plan = a_plan(saved, RestoreWay.CLONE)
    nvram = ET.fromstring(restored_xml(plan, stored)).find("./os/nvram")
    assert nvram is not None
    assert (nvram.text, nvram.get("template")) == (None, "/usr/OVMF_VARS.fd")
    to = "/images/web2/vars.fd"
    variables = replace(plan.files[0], name="nvram", file="nvram/vars.fd", to=to, partial=partial_of(to, RUN))
    nvram = ET.fromstring(restored_xml(replace(plan, files=(*plan.files, variables)), stored)).find("./os/nvram")
    assert nvram is not None
    assert nvram.text == to


def test_in_place_the_definition_stays_what_it_was(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    before, after = (ET.fromstring(xml) for xml in (saved.stored_xml, restored_xml(plan, saved.stored_xml)))
    assert [ET.tostring(each) for each in before.iter("source")] == [ET.tostring(each) for each in after.iter("source")]
    assert explained_changes(plan, saved.stored_xml) == ()
    assert explained_changes(replace(plan, way=RestoreWay.DISK), saved.stored_xml) == ()


def test_a_disk_of_another_format_says_so_in_the_definition(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    stored = saved.stored_xml.replace("type='raw'", "type='qcow2'")
    assert any("disk vdb is raw" in change.what for change in explained_changes(plan, stored))
    drivers = ET.fromstring(restored_xml(plan, stored)).findall("./devices/disk/driver")
    assert [driver.get("type") for driver in drivers] == ["qcow2", "raw"]


@pytest.mark.parametrize(
    ("change", "path", "attribute", "value"),
    [
        (Change(ChangeKind.NETWORK, "default", "lan"), "./devices/interface/source", "network", "lan"),
        (Change(ChangeKind.MACHINE, value="q35"), "./os/type", "machine", "q35"),
        (Change(ChangeKind.CPU, value="maximum"), "./cpu", "mode", "maximum"),
        (Change(ChangeKind.TYPE, value="qemu"), ".", "type", "qemu"),
        (Change(ChangeKind.POOL, "vdb", "/images/data.raw"), "./devices/disk[2]/source", "file", "/images/data.raw"),
    ],
)
def test_what_this_host_lacks_is_changed(
    saved: SavedBackup, change: Change, path: str, attribute: str, value: str
) -> None:
    stored = saved.stored_xml.replace("<devices>", "<os><type machine='old'>hvm</type></os><cpu mode='x'/><devices>")
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), changes=(change,))
    element = ET.fromstring(restored_xml(plan, stored)).find(path)
    assert element is not None
    assert element.get(attribute) == value
    assert change.word in {each.what for each in explained_changes(plan, stored)}


def test_an_ejected_medium_leaves_its_drive(saved: SavedBackup) -> None:
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), changes=(Change(ChangeKind.EJECT, "sda"),))
    drive = ET.fromstring(restored_xml(plan, saved.stored_xml)).find("./devices/disk[@device='cdrom']")
    assert drive is not None
    assert drive.find("source") is None


@pytest.mark.parametrize("way", [RestoreWay.CLONE, RestoreWay.IN_PLACE])
def test_where_all_is_well_nothing_forbids_the_restore(saved: SavedBackup, way: RestoreWay) -> None:
    plan = a_plan(saved, way)
    assert failed(found_for(saved, plan, well(saved, plan))) == []


def test_another_machine_and_other_owners_are_worth_a_word(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    now = replace(well(saved, plan), user=1000, hostname="elsewhere")
    warned = [each.title for each in found_for(saved, plan, now) if each.verdict is Verdict.WARNING]
    assert warned == ["Backup", "Rights"]


def test_a_running_guest_is_offered_to_be_put_off(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    now = replace(well(saved, plan), guest=facts(saved, PowerState.RUNNING))
    (finding,) = (each for each in found_for(saved, plan, now) if each.verdict is Verdict.FAILED)
    assert [fix.wishes.stop for fix in finding.fixes] == [StopWay.SHUT_DOWN, StopWay.FORCE_OFF]
    assert failed(found_for(saved, replace(plan, stop=StopWay.SHUT_DOWN), now)) == []


def test_saved_memory_a_rival_name_and_shared_images_forbid_it(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    now = well(saved, plan)
    off = facts(saved, PowerState.OFF)
    rival = replace(off, uuid=NEW)
    users = tuple(replace(place, users=("other",)) for place in now.places)
    overlay = Disk("vda", "disk", "file", overlay_beside("/images/web.qcow2", plan.stamp, "vda"), "qcow2")
    for worse in (
        replace(now, guest=replace(off, disks=(overlay,))),
        replace(now, guest=off, managed_save=True),
        replace(now, by_name=rival),
        replace(now, guest=off, places=users),
        replace(now, is_local=False),
        replace(now, active_run="0123abcd"),
    ):
        assert failed(found_for(saved, plan, worse))


def test_in_place_checkpoints_that_the_images_know_nothing_of_are_named_with_the_way_to_forget_them(
    saved: SavedBackup,
) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    now = replace(well(saved, plan), guest=facts(saved, PowerState.OFF), checkpoints=("monday", "it's tuesday"))

    def told(backup: SavedBackup) -> list[tuple[Verdict, str]]:
        found = findings_of(backup, plan, Wishes(RestoreWay.IN_PLACE), now)
        return [(finding.verdict, finding.next_step) for finding in found if finding.title == "Checkpoints"]

    words = "Once it is restored and stays so: "
    monday, tuesday = (
        f"virsh -c qemu:///system checkpoint-delete {quote(saved.guest)} {quote(name)} --metadata"
        for name in now.checkpoints
    )
    assert told(saved) == [(Verdict.WARNING, f"{words}{monday} && {tuesday}")]
    assert told(replace(saved, checkpoints=("monday",))) == [(Verdict.WARNING, words + tuesday)]
    assert told(replace(saved, checkpoints=now.checkpoints)) == []
    flattened = replace(saved.disks[0], chain=("/images/cloud.raw",))
    alone = replace(saved, checkpoints=now.checkpoints, disks=(flattened, *saved.disks[1:]))
    assert told(alone) == [(Verdict.WARNING, f"{words}{monday} && {tuesday}")]
    here = replace(now, checkpoints=())
    titles = [finding.title for finding in findings_of(saved, plan, Wishes(RestoreWay.IN_PLACE), here)]
    assert "Checkpoints" not in titles


def test_places_that_cannot_be_written_to_forbid_it(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    now = well(saved, plan)
    place = now.places[0]
    for worse in (
        replace(place, folder=None),
        replace(place, folder=replace(ROOM, writable=False)),
        replace(place, folder=replace(ROOM, free_bytes=1)),
        replace(place, exists=True),
        replace(place, taken_names=("x",)),
    ):
        assert failed(found_for(saved, plan, replace(now, places=(worse,))))
    assert failed(found_for(replace(saved, void="it is marked as void"), plan, now)) == ["Backup"]


def test_what_the_host_lacks_is_offered_and_then_accepted(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    change = Change(ChangeKind.NETWORK, "default", "lan")
    now = replace(well(saved, plan), misfits=(Misfit("Network", "there is no network default", change),))
    (finding,) = (each for each in found_for(saved, plan, now) if each.verdict is Verdict.FAILED)
    (fix,) = finding.fixes
    assert fix.wishes.changes == (change,)
    assert failed(found_for(saved, replace(plan, changes=(change,)), now)) == []


def test_a_free_name_is_found() -> None:
    assert free_name("a", frozenset()) == "a"
    assert free_name("a", frozenset({"a", "a-2"})) == "a-3"


def test_the_steps_are_in_order_and_nothing_is_deleted_in_place(saved: SavedBackup) -> None:
    for name in ("web.qcow2", "data.raw"):
        (Path(saved.disks[0].original).parent / name).touch()
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), stop=StopWay.SHUT_DOWN)
    commands = [step.command for step in plan_steps(plan)]
    words = [command.split()[0] for command in commands]
    assert "rm" not in words
    assert words.index("cd") < words.index("cp") < words.index("virsh") < words.index("mv")
    assert commands[-2].endswith("define vm.xml")
    assert sum(aside_of(file.to, RUN) in command for file in plan.files for command in commands) == 2


def test_the_commands_of_a_clone_define_what_the_program_defines(saved: SavedBackup, tmp_path: Path) -> None:
    guest, folder = "a & b|c", tmp_path / "it's a [folder]&|"
    folder.mkdir()
    files = clone_files(saved, RUN, str(folder))
    plan = replace(a_plan(saved, RestoreWay.CLONE), guest=guest, files=files, own_folder=str(folder))
    (command,) = (step.command for step in plan_steps(plan) if " define " in step.command)
    shell = f"virsh() {{ :; }}; {command}"
    subprocess.run(["bash", "-c", shell], cwd=saved.folder, check=True)
    by_hand, ours = ET.parse(folder / "vm.xml").getroot(), ET.fromstring(restored_xml(plan, saved.stored_xml))
    assert by_hand.findtext("name") == guest
    names = [[s.get("file") for s in root.findall("./devices/disk/source")] for root in (by_hand, ours)]
    assert names[0] == names[1]


def test_only_what_is_restored_and_was_not_accepted_by_name_is_refused(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    vdb = DiskProof("vdb", "disks/vdb.raw", ("disks/vdb.raw was changed",))
    proof = Proof(saved.folder, problems=(*vdb.problems, "vm.xml was changed"), disks=(vdb,))
    with pytest.raises(BrokenBackupError) as caught:
        refuse_broken(plan, proof)
    assert caught.value.names == ("vdb", "files")
    accepted = refuse_broken(replace(plan, accepted=("vdb", "files")), proof)
    assert len(accepted) == 2
    only_vda = replace(plan, files=plan.files[:1], way=RestoreWay.DISK, own_folder="")
    assert refuse_broken(only_vda, proof) == ()
    assert issubclass(BrokenBackupError, BackupError)


def test_a_followers_state_tells_what_a_dead_worker_has_left(saved: SavedBackup) -> None:
    state = first_state(a_plan(saved, RestoreWay.CLONE))
    assert [step.step for step in state.steps] == [Step.PREPARE, Step.VERIFY, Step.COPY, Step.PLACE, Step.DEFINE]
    for stage, code in (
        (RunStage.PLANNED, EXIT_NOT_DONE),
        (RunStage.COPYING, EXIT_RESCUE),
        (RunStage.MOVING, EXIT_RESCUE),
    ):
        assert without_worker(with_entry(state, Entry(1.0, stage))).exit_code == code
    done = with_entry(state, Entry(2.0, RunStage.DONE, {"exit_code": EXIT_DONE, "outcome": "web2 is defined"}))
    assert headline(done) == "Restore of web2 is done: web2 is defined"
    assert with_entry(done, Entry(3.0, RunStage.UNDOING)).exit_code is None
    run = RestoreRun(saved.folder, a_plan(saved, RestoreWay.CLONE))
    undone = with_entry(done, Entry(4.0, RunStage.UNDONE, {"exit_code": EXIT_DONE}))
    assert (Job(run, done, None).word, Job(run, undone, None).word) == (JobWord.DONE, JobWord.UNDONE)


def test_a_restore_without_an_end_goes_on_once_it_moved_files_and_back_before(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    for has_moved, is_turning_back, way in (
        (True, False, Way.FINISH),
        (True, True, Way.UNDO),
        (False, False, Way.UNDO),
    ):
        evidence = RestoreEvidence(plan, "", (), has_moved=has_moved, is_turning_back=is_turning_back)
        assert restore_leftover(evidence).way is way
    tested = RestoreEvidence(a_plan(saved, RestoreWay.BOOT_TEST), "testing", (), has_moved=True)
    assert restore_leftover(tested).way is Way.UNDO
    assert restore_leftover(replace(tested, worker=1)).way is Way.ATTACH


@pytest.mark.parametrize("name", [".", "..", " ", "../x", "a/b", "a\nb", "\x1b[31m", "\udcff", "n" * 248, "ä" * 124])
def test_names_that_libvirt_would_make_paths_of_are_refused(saved: SavedBackup, name: str) -> None:
    """libvirt takes `.` and `..`, and deletes what is not that guest's when it is undefined."""
    for way in (RestoreWay.CLONE, RestoreWay.BOOT_TEST):
        plan = replace(a_plan(saved, way), guest=name)
        assert failed(found_for(saved, plan, well(saved, plan))) == ["Name"]
    plan = replace(a_plan(saved, RestoreWay.IN_PLACE), guest=name)
    assert "Guest" in failed(found_for(saved, plan, well(saved, plan)))
    assert unfit_name("web 2: <é>") == ""
    assert unfit_name("n" * 247) == ""


def test_in_place_no_file_is_replaced_that_the_backups_own_definitions_do_not_name(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    assert "Disk vda" not in failed(found_for(saved, plan, well(saved, plan)))
    elsewhere = replace(saved, disks=(replace(saved.disks[0], original="/etc/hostname"), *saved.disks[1:]))
    plan = a_plan(elsewhere, RestoreWay.IN_PLACE)
    assert "Disk vda" in failed(found_for(elsewhere, plan, well(elsewhere, plan)))


def test_in_place_no_image_is_replaced_that_another_image_of_the_guest_lies_on(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.IN_PLACE)
    now = replace(well(saved, plan), guest=facts(saved, PowerState.OFF))
    assert "Images" not in failed(found_for(saved, plan, now))
    assert "Images" in failed(found_for(saved, plan, replace(now, standing_on=("/images/snap1.qcow2",))))


def test_nothing_is_restored_into_a_backup(saved: SavedBackup) -> None:
    plan = a_plan(saved, RestoreWay.CLONE)
    now = well(saved, plan)
    inside = tuple(replace(place, is_in_backup=True) for place in now.places)
    assert "Disk vda" in failed(found_for(saved, plan, replace(now, places=inside)))


def test_what_reads_another_file_is_not_restored_whoever_accepts_it(saved: SavedBackup) -> None:
    plan = replace(a_plan(saved, RestoreWay.CLONE), accepted=("vda",))
    broken = DiskProof("vda", "disks/vda.qcow2", ("its sum is wrong",))
    assert refuse_broken(plan, Proof(saved.folder, disks=(broken,))) == ("restored as accepted: its sum is wrong",)
    with pytest.raises(BackupError, match="none of its own: vda"):
        refuse_broken(plan, Proof(saved.folder, disks=(replace(broken, is_foreign=True),)))


def test_a_path_that_ends_in_a_slash_is_a_folder_and_never_becomes_a_file(saved: SavedBackup, tmp_path: Path) -> None:
    disk = saved.disks[0]
    assert Path(image_path(saved, disk, f"{tmp_path}/")).parent == tmp_path
    assert image_path(saved, disk, f"{tmp_path}/new") == f"{tmp_path}/new"
    with pytest.raises(BackupError, match="no folder"):
        image_path(saved, disk, f"{tmp_path}/new/")
