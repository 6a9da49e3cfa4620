"""Chosen disks of a backup alone: put back into a guest that stays as it is but for them, or made into a clone."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.saved_folder import write_backup
from tests.unit.test_restore_plan import RUN, a_plan, facts, failed, found_for, well
from tui.backup.chain import disks_by_target
from tui.backup.checks import Verdict
from tui.backup.errors import BackupError
from tui.backup.nvram import Nvram
from tui.backup.plan import DiskKind, ImageFormat, InvalidPlanError, stamp_words
from tui.backup.proof import DiskProof, Proof
from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.definition import explained_changes, restored_xml, with_former_disks, with_restored_disks
from tui.backup.restore.findings import findings_of
from tui.backup.restore.needs import needs_of
from tui.backup.restore.placing import chosen_of, clone_files, present_files
from tui.backup.restore.plan import Change, ChangeKind, RestorePlan, RestoreWay, partial_of, read_restore_plan
from tui.backup.restore.present import moved_since, refuse_unfit
from tui.backup.restore.propose import _refuse_foreign_wishes, _wanted_files
from tui.backup.restore.saved import SavedBackup, read_saved
from tui.backup.restore.steps import plan_steps
from tui.backup.restore.telling import outcome_of
from tui.backup.restore.verifying import refuse_broken
from tui.backup.restore.wishes import MOMENTS, Wishes
from tui.cli.parser import parse
from tui.cli.restore_verb import RestoreWish
from tui.model.disk import Disk, DiskTrait
from tui.model.guest import PowerState

VDB = ("vdb",)


@pytest.fixture
def saved(tmp_path: Path) -> SavedBackup:
    (tmp_path / "images").mkdir()
    for name in ("web.qcow2", "data.raw"):
        (tmp_path / "images" / name).write_text("of today")
    return read_saved(write_backup(tmp_path / "backup", str(tmp_path / "images")))


def in_place(
    saved: SavedBackup, today: str = "", *, changes: tuple[Change, ...] = (), accepted: tuple[str, ...] = ()
) -> RestorePlan:
    """The plan for vdb alone; `today` is the guest's present definition, if not the saved one."""
    wishes = Wishes(RestoreWay.IN_PLACE, disks=VDB, changes=changes, accepted=accepted)
    present = disks_by_target(today or saved.stored_xml)
    files = present_files(chosen_of(saved, wishes), present, RUN, _wanted_files(wishes))
    plan = replace(
        a_plan(replace(saved, nvram=None), RestoreWay.IN_PLACE),
        files=files,
        chosen=True,
        left_out=("vda",),
        changes=wishes.changes,
        accepted=wishes.accepted,
    )
    return read_restore_plan(plan.to_json())


def circumstances(saved: SavedBackup, plan: RestorePlan, today: str = "") -> Circumstances:
    """The guest is off, and as it was saved if not as in `today`."""
    present = disks_by_target(today or saved.stored_xml)
    return replace(well(saved, plan), guest=facts(saved, PowerState.OFF), present=present)


def edited(xml: str, change: Callable[[ET.Element], None]) -> str:
    root = ET.fromstring(xml)
    change(root)
    return ET.tostring(root, encoding="unicode")


def with_more_memory(xml: str) -> str:
    return edited(xml, lambda root: ET.SubElement(root, "memory").__setattr__("text", "999"))


def test_only_the_chosen_disk_is_replaced_and_the_definition_is_left_alone(saved: SavedBackup) -> None:
    plan = in_place(replace(saved, nvram=Nvram("/nvram/web.fd", 0, 0, "0600")))
    assert [(file.name, file.to) for file in plan.files] == [("vdb", saved.disks[1].original)]
    assert plan.files[0].aside
    assert plan.keeps_definition
    assert not plan.defines
    today = with_more_memory(saved.stored_xml)
    assert with_restored_disks(plan, today) == today
    assert with_former_disks(plan, today, saved.stored_xml) == today
    assert explained_changes(plan, today) == ()
    commands = " ".join(step.command for step in plan_steps(plan))
    assert saved.disks[0].original not in commands
    assert "define" not in commands
    assert "vdb of web 1 is as it was then, the rest as it is now" in outcome_of(plan)


def test_different_moments_are_told_and_have_to_be_accepted(saved: SavedBackup) -> None:
    wishes = Wishes(RestoreWay.IN_PLACE, disks=VDB)
    plan = in_place(saved)
    now = circumstances(saved, plan)
    (finding,) = (f for f in findings_of(saved, plan, wishes, now) if f.verdict is Verdict.FAILED)
    assert finding.evidence == f"vdb of {stamp_words(saved.stamp)}, vda as now"
    (fix,) = finding.fixes
    assert fix.option == "--accept moments"
    assert fix.wishes == replace(wishes, accepted=(MOMENTS,))
    plan = in_place(saved, accepted=(MOMENTS,))
    assert failed(found_for(saved, plan, now)) == []
    assert "Different moments" in [f.title for f in found_for(saved, plan, now) if f.verdict is Verdict.WARNING]


def test_where_no_other_disk_is_there_nothing_has_to_be_accepted(saved: SavedBackup) -> None:
    def without_vda(root: ET.Element) -> None:
        (devices,) = root.findall("devices")
        devices.remove(devices.findall("disk")[0])

    today = edited(saved.stored_xml, without_vda)
    plan = in_place(saved, today)
    assert failed(found_for(saved, plan, circumstances(saved, plan, today))) == []


def test_what_this_host_lacks_of_the_saved_definition_is_no_matter(saved: SavedBackup) -> None:
    plan = in_place(saved, accepted=(MOMENTS,))
    told = found_for(replace(saved, missing=("TPM state",)), plan, circumstances(saved, plan))
    assert not {"Not in the backup", "UEFI variables"} & {finding.title for finding in told}
    damaged = Proof(
        saved.folder, problems=("vm.xml was changed",), disks=(DiskProof("vda", "disks/vda.qcow2", ("bad",)),)
    )
    assert refuse_broken(plan, damaged) == ()


def test_a_disk_that_is_elsewhere_or_of_another_format_by_now_comes_back_as_it_is_now(saved: SavedBackup) -> None:
    today = saved.stored_xml.replace("data.raw", "moved.qcow2").replace("type='raw'", "type='qcow2'", 1)
    plan = in_place(saved, today, accepted=(MOMENTS,))
    (file,) = plan.files
    assert Path(file.to).name == "moved.qcow2"
    assert (file.to_format, file.aside) == (ImageFormat.QCOW2, "")
    now = circumstances(saved, plan, today)
    (told,) = (f for f in found_for(saved, plan, now) if f.title == "Disk vdb" and f.verdict is Verdict.WARNING)
    assert saved.disks[1].original in told.evidence
    assert file.to in told.evidence
    assert failed(found_for(saved, plan, now)) == []
    assert with_restored_disks(plan, today) == today


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (None, "no such disk"),
        (Disk("vdb", "cdrom", "file", "/iso/a.iso", "raw"), "is a cdrom"),
        (Disk("vdb", "disk", "network", "rbd/web", "raw"), "type network"),
        (Disk("vdb", "disk", "volume", "pool/web", "raw"), "its pool"),
        (Disk("vdb", "disk", "file", "/images/web", "raw", traits=frozenset({DiskTrait.SLICE})), "(slice)"),
        (Disk("vdb", "disk", "file", "/images/web", "vmdk"), "format vmdk"),
        (Disk("vdb", "disk", "file", "/images/web", "qcow2", encrypted=True), "encrypted"),
        (Disk("vdb", "disk", "file", "", ""), "there is none"),
    ],
)
def test_a_disk_that_the_guest_lacks_or_has_on_something_else_is_refused(disk: Disk | None, words: str) -> None:
    with pytest.raises(BackupError, match="vdb cannot be put back into web") as refused:
        refuse_unfit("web", {} if disk is None else {"vdb": disk}, VDB, ())
    assert words in refused.value.cause
    assert refused.value.next_step


def test_what_changed_since_the_plan_was_made_forbids_it(saved: SavedBackup) -> None:
    plan = in_place(saved, accepted=(MOMENTS,))
    now = circumstances(saved, plan)
    vdb = now.present["vdb"]
    vdc = replace(vdb, target="vdc")
    on_it = replace(vdc, source="/images/snap", backing=(vdb.source,))
    for present, title in (
        ({}, "Guest"),
        ({"vdb": replace(vdb, source="/images/other.raw")}, "Guest"),
        ({"vdb": replace(vdb, format="qcow2")}, "Guest"),
        ({"vdb": vdb, "vdc": vdc}, "Disk vdb"),
        ({"vdb": vdb, "vdc": on_it}, "Disk vdb"),
    ):
        assert failed(found_for(saved, plan, replace(now, present=present))) == [title]
    assert failed(found_for(saved, plan, replace(now, guest=None))) == ["Guest"]
    assert moved_since(plan, now.present) == ()


def on_device(saved: SavedBackup) -> str:
    return saved.stored_xml.replace(saved.disks[1].original, "/dev/vg/data")


def test_a_device_becomes_a_file_in_the_present_definition_and_an_undo_changes_that_alone(saved: SavedBackup) -> None:
    def to_device(root: ET.Element) -> None:
        root.findall("./devices/disk")[1].set("type", "block")
        root.findall("./devices/disk/source")[1].attrib = {"dev": "/dev/vg/data"}

    today = edited(saved.stored_xml, to_device)
    refused = in_place(saved, today)
    assert refused.files[0].kind is DiskKind.BLOCK
    assert "Disk vdb" in failed(found_for(saved, refused, circumstances(saved, refused, today)))
    change = Change(ChangeKind.FILE, "vdb", "/images/vdb.raw")
    plan = in_place(saved, today, changes=(change,), accepted=(MOMENTS,))
    assert failed(found_for(saved, plan, circumstances(saved, plan, today))) == []
    assert {each.what for each in explained_changes(plan, today)} == {change.word}
    later = with_more_memory(with_restored_disks(plan, today))
    disk = disks_by_target(later)["vdb"]
    assert (disk.source_type, disk.source) == ("file", "/images/vdb.raw")
    assert ET.canonicalize(with_restored_disks(plan, later)) == ET.canonicalize(later)
    undone = with_former_disks(plan, later, today)
    assert disks_by_target(undone) == disks_by_target(today)
    assert ET.fromstring(undone).findtext("memory") == "999"


def test_a_list_of_images_below_is_not_left_in_the_definition_of_a_flat_image(saved: SavedBackup) -> None:
    below = "<backingStore type='file'><format type='raw'/><source file='/images/base'/></backingStore>"
    today = saved.stored_xml.replace("<target dev='vdb'", f"{below}<target dev='vdb'")
    plan = in_place(saved, today)
    restored = with_restored_disks(plan, today)
    assert disks_by_target(restored)["vdb"].backing == ()
    assert "without images below it" in explained_changes(plan, today)[0].what
    assert disks_by_target(with_former_disks(plan, restored, today))["vdb"].backing == ("/images/base",)


def test_a_plan_that_would_replace_more_than_disks_is_none(saved: SavedBackup) -> None:
    plan = in_place(saved)
    variables = replace(plan.files[0], name="nvram", to="/a", partial=partial_of("/a", RUN), aside="")
    with pytest.raises(InvalidPlanError):
        read_restore_plan(replace(plan, files=(*plan.files, variables)).to_json())


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(RestoreWay.IN_PLACE, disks=VDB, changes=(Change(ChangeKind.CPU, value="maximum"),)),
        Wishes(RestoreWay.IN_PLACE, disks=VDB, changes=(Change(ChangeKind.FILE, "vda", "/images/a"),)),
        Wishes(RestoreWay.BOOT_TEST, disks=VDB),
    ],
)
def test_wishes_that_do_not_go_together_are_refused(saved: SavedBackup, wishes: Wishes) -> None:
    with pytest.raises(BackupError):
        _refuse_foreign_wishes(chosen_of(saved, wishes), wishes)


def clone_of(saved: SavedBackup, *targets: str) -> RestorePlan:
    chosen = chosen_of(saved, Wishes(disks=targets))
    left_out = tuple(disk.target for disk in saved.disks if disk.target not in targets)
    files = clone_files(chosen, RUN, "/images/web2")
    return replace(a_plan(saved, RestoreWay.CLONE), files=files, chosen=True, left_out=left_out)


def test_a_clone_has_the_chosen_disks_alone_and_says_so(saved: SavedBackup) -> None:
    plan = clone_of(saved, "vda")
    assert read_restore_plan(plan.to_json()) == plan
    assert set(disks_by_target(restored_xml(plan, saved.stored_xml))) == {"vda", "sda"}
    told = {change.what: change.why for change in explained_changes(plan, saved.stored_xml)}
    assert told["without the disks vdb"] == "they were not chosen"
    assert told["without the disks or media of sda"] == "they are not in the backup"
    commands = [step.command for step in plan_steps(plan)]
    assert next(command for command in commands if "detach-disk" in command).endswith("vdb --config")
    assert "vdb.raw" not in " ".join(commands)
    assert "without vdb" in outcome_of(plan)
    assert failed(found_for(saved, plan, well(saved, plan))) == []


def test_a_clone_without_its_boot_disk_is_worth_a_warning(saved: SavedBackup) -> None:
    for targets, warns in ((("vda",), False), (VDB, True)):
        plan = clone_of(saved, *targets)
        titles = {f.title for f in found_for(saved, plan, well(saved, plan)) if f.verdict is Verdict.WARNING}
        assert ("Boot disk" in titles) is warns


def test_the_boot_disk_is_the_first_in_order_or_the_first_at_all(saved: SavedBackup) -> None:
    assert needs_of(saved.stored_xml).boot_disk == "vda"
    ordered = saved.stored_xml.replace("<target dev='vda'", "<boot order='3'/><target dev='vda'")
    ordered = ordered.replace("<target dev='vdb'", "<boot order='2'/><target dev='vdb'")
    ordered = ordered.replace("<target dev='sda'", "<boot order='1'/><target dev='sda'")
    assert needs_of(ordered).boot_disk == "vdb"
    assert needs_of("<domain><devices/></domain>").boot_disk == ""


def test_disks_that_are_not_in_the_backup_are_told(saved: SavedBackup) -> None:
    assert chosen_of(saved, Wishes()) == saved
    with pytest.raises(BackupError) as refused:
        chosen_of(saved, Wishes(disks=("vda", "vdx")))
    assert "vdx" in refused.value.cause


@pytest.mark.parametrize(
    ("words", "way"),
    [
        ("--in-place --disk vdb --stop force", RestoreWay.IN_PLACE),
        ("--as two --disk vdb", RestoreWay.CLONE),
        ("--as two --disk vdb --to /images", RestoreWay.CLONE),
        ("--disk vdb --to /images", RestoreWay.DISK),
        ("--disk vdb --attach other", RestoreWay.ATTACH),
    ],
)
def test_the_command_line_takes_disks_with_every_way_but_the_boot_test(words: str, way: RestoreWay) -> None:
    wishes = RestoreWish.of(parse(["restore", "b", *words.split()])).wishes
    assert (wishes.way, wishes.disks) == (way, VDB)


@pytest.mark.parametrize(
    "words",
    [
        "--disk vdb",
        "--disk vdb --boot-test",
        "--disk vdb --undo",
        "--disk vdb --as a --attach b",
        "--disk vdb --in-place --to /images",
        "--disk vdb --in-place --attach b",
        "--in-place --as a",
    ],
)
def test_ways_that_exclude_each_other_are_refused(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["restore", "b", *words.split()])
    assert "--" in capsys.readouterr().err
