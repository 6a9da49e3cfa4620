"""What is made of evidence: which leftover it is, how urgent, and which way is offered."""

from dataclasses import replace

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.chain import GuestView, Place, disks_by_target, with_base
from tui.backup.homecoming import proven_merged
from tui.backup.journal import Entry, RunStage
from tui.backup.leftovers import DiskEvidence, GuestEvidence, Urgency, Way
from tui.backup.meaning import leftover_of
from tui.model.guest import PowerState

PLAN = a_plan()
HOME = tuple(DiskEvidence(disk, Place.BASE, Place.BASE, overlay_exists=False) for disk in PLAN.disks)
AWAY = tuple(DiskEvidence(disk, Place.OVERLAY, Place.OVERLAY, overlay_exists=True) for disk in PLAN.disks)
OURS = GuestEvidence(PLAN, PowerState.RUNNING, "booted", is_ours=True, disks=AWAY, is_marked=True)
THEIRS = replace(
    OURS, is_ours=False, is_marked=False, disks=tuple(replace(each, switched_by_libvirt=True) for each in AWAY)
)


def first(evidence: GuestEvidence, **changes: object) -> GuestEvidence:
    return replace(evidence, disks=(replace(evidence.disks[0], **changes), *evidence.disks[1:]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidence", "way", "urgency"),
    [
        (OURS, Way.MERGE, Urgency.SOON),
        (replace(OURS, worker=7), Way.ATTACH, Urgency.WHENEVER),
        (replace(OURS, power=PowerState.OFF), Way.MERGE, Urgency.SOON),
        (replace(OURS, power=PowerState.OFF, managed_save=True), Way.EXPLAIN, Urgency.SOON),
        (replace(OURS, frozen=True), Way.MERGE, Urgency.NOW),
        (replace(OURS, power=PowerState.PAUSED, power_reason="disk I/O error"), Way.MERGE, Urgency.NOW),
        (replace(OURS, disks=HOME, frozen=True), Way.THAW, Urgency.NOW),
        (replace(OURS, disks=HOME), Way.TIDY, Urgency.WHENEVER),
        (first(OURS, overlay_exists=False), Way.MERGE, Urgency.NOW),
        (replace(first(OURS, overlay_exists=False), power=PowerState.OFF), Way.EXPLAIN, Urgency.NOW),
        (first(OURS, place=Place.ELSEWHERE), Way.EXPLAIN, Urgency.SOON),
        (replace(OURS, disks=tuple(replace(each, place=Place.READY) for each in AWAY)), Way.PIVOT, Urgency.SOON),
        (first(replace(OURS, disks=HOME), overlay_exists=True, is_proven=True), Way.TIDY, Urgency.WHENEVER),
        (first(replace(OURS, disks=HOME), overlay_exists=True, is_proven=False), Way.EXPLAIN, Urgency.SOON),
        (replace(OURS, is_gone=True), Way.EXPLAIN, Urgency.SOON),
        (THEIRS, Way.MERGE_CONFIRMED, Urgency.WHENEVER),
    ],
)
def test_one_way_is_offered(evidence: GuestEvidence, way: Way, urgency: Urgency) -> None:
    found = leftover_of(evidence)
    assert found is not None
    assert (found.way, found.urgency) == (way, urgency)


@pytest.mark.parametrize(
    "evidence",
    [
        replace(OURS, disks=HOME, is_marked=False),
        first(THEIRS, listed_by=("snapshot",)),
        replace(THEIRS, disks=tuple(replace(each, base_users=("clone 2",)) for each in THEIRS.disks)),
        replace(THEIRS, disks=tuple(replace(each, switched_by_libvirt=False) for each in THEIRS.disks)),
    ],
)
def test_clones_snapshots_and_healthy_guests_are_left_alone(evidence: GuestEvidence) -> None:
    assert leftover_of(evidence) is None


def definition(source: str) -> str:
    return f"""<domain><devices><disk type='file' device='disk'><driver type='qcow2'/><source file='{source}'/>
    <target dev='vda'/></disk></devices></domain>"""


def test_a_pivot_proves_a_merge_only_where_nobody_changed_the_definition() -> None:
    disk = PLAN.disks[0]
    home = GuestView(PowerState.RUNNING, "", disks_by_target(definition(disk.base)), {})
    announced = Entry(1.0, RunStage.PIVOTING, {"target": "vda", "stored_is_overlay": True})
    changed = Entry(1.0, RunStage.PIVOTING, {"target": "vda", "stored_is_overlay": False})
    assert proven_merged(PLAN, [announced], home) == {"vda"}
    assert proven_merged(PLAN, [changed], home) == frozenset()
    assert proven_merged(PLAN, [], home) == frozenset()
    away = replace(home, live=disks_by_target(definition(disk.overlay)))
    assert proven_merged(PLAN, [announced], away) == frozenset()


def test_a_stored_definition_goes_back_to_the_base() -> None:
    disk = PLAN.disks[0]
    (there,) = disks_by_target(with_base(definition(disk.overlay), [disk])).values()
    assert (there.source, there.format, there.backing) == (disk.base, "qcow2", ())


def test_a_guest_that_is_off_is_merged_by_hand_without_qemu() -> None:
    found = leftover_of(replace(OURS, power=PowerState.OFF))
    assert found is not None
    first_disk, second_disk = PLAN.disks
    edit = "virsh -c qemu:///system edit 'web 1'"
    assert found.commands == (
        f"qemu-img commit -f qcow2 {first_disk.overlay}",
        f"qemu-img commit -f qcow2 {second_disk.overlay}",
        f"{edit}  # without <backingStore>, vda: /images/web.qcow2, type qcow2; vdb: /images/data.raw, type raw",
    )


def test_a_guest_that_runs_is_merged_by_hand_in_qemu() -> None:
    found = leftover_of(OURS)
    assert found is not None
    assert found.commands[0] == ("virsh -c qemu:///system blockcommit 'web 1' vda --active --shallow --pivot --wait")


def test_a_guest_that_is_gone_is_started_from_the_definition_that_was_kept() -> None:
    found = leftover_of(replace(OURS, is_gone=True, definition="/state/runs/0123abcd/vm.xml"))
    assert found is not None
    assert "/state/runs/0123abcd/vm.xml" in found.explanation
    assert found.commands[-1] == "virsh -c qemu:///system create /state/runs/0123abcd/vm.xml"
    unkept = leftover_of(replace(OURS, is_gone=True))
    assert unkept is not None
    assert not any("virsh" in command for command in unkept.commands)


@pytest.mark.parametrize(
    ("changes", "way", "title"),
    [
        ({}, Way.MERGE_CONFIRMED, "MERGE NOW, do not stop the guest"),
        ({"listed_by": ("snapshot",)}, Way.MERGE_CONFIRMED, "MERGE NOW, do not stop the guest"),
        ({"base_users": ("clone 2",)}, Way.EXPLAIN, "COPY NOW, do not stop the guest"),
        ({"switched_by_libvirt": False}, Way.EXPLAIN, "COPY NOW, do not stop the guest"),
    ],
)
def test_an_image_of_another_tools_that_is_deleted_is_urgent(changes: dict[str, object], way: Way, title: str) -> None:
    deleted = first(THEIRS, overlay_exists=False, **changes)
    found = leftover_of(deleted)
    assert found is not None
    assert (found.way, found.urgency, found.title) == (way, Urgency.NOW, title)
    # Nothing of it can be saved any more once QEMU has closed the file.
    assert leftover_of(replace(deleted, power=PowerState.OFF)) != found


def test_a_confirmed_merge_is_of_the_disks_that_were_told_alone() -> None:
    clone = replace(THEIRS.disks[1], switched_by_libvirt=False)
    found = leftover_of(replace(THEIRS, disks=(THEIRS.disks[0], clone)))
    assert found is not None
    assert [disk.target for disk in found.evidence.plan.disks] == ["vda"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("is_proven", "urgency"), [(False, Urgency.SOON), (True, Urgency.WHENEVER)])
@pytest.mark.parametrize("uuid", ["", PLAN.uuid])
def test_a_stray_overlay_is_explained_and_left_alone(is_proven: bool, urgency: Urgency, uuid: str) -> None:
    alone = replace(AWAY[0], place=Place.BASE, stored_place=Place.BASE, is_proven=is_proven)
    plan = replace(PLAN, disks=PLAN.disks[:1], uuid=uuid)
    found = leftover_of(replace(OURS, plan=plan, disks=(alone,), is_stray=True))
    assert found is not None
    assert (found.way, found.urgency) == (Way.EXPLAIN, urgency)
    assert PLAN.disks[0].overlay in found.explanation
    assert ("a disk of web 1" in found.explanation) is bool(uuid)
    assert not any("commit" in command for command in found.commands)
