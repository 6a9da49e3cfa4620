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
