"""What is seen of a guest that somebody else changes while it is backed up, and what is believed of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import cast

import pytest

from tests.unit.backup_values import a_plan, domain_xml, planned
from tui.backup.away import Absence, absence_of, noted_absence
from tui.backup.chain import Place, disks_by_target, snapshot_xml
from tui.backup.disk_set import (
    GuestChangedError,
    changes,
    generated_overlay,
    is_generated_overlay,
    others_of,
    refuse_changed,
    snapshot_name,
    unasked,
    with_unasked,
)
from tui.backup.freeze_truth import FreezeFacts, doubt
from tui.backup.image_users import other_users
from tui.backup.images import run_program
from tui.backup.journal import Entry, RunStage
from tui.backup.leftovers import DiskEvidence, GuestEvidence, Way
from tui.backup.meaning import leftover_of
from tui.backup.meanwhile import IO_ERROR, PAUSED_BY_IO_ERROR, is_detached, sightings
from tui.backup.plan import ImageFormat, is_overlay_name
from tui.backup.session import HostSession, Patience
from tui.backup.tidy import OverlayEvidence, objections
from tui.hosts.port import Host
from tui.model.disk import Disk
from tui.model.guest import MIGRATED_AWAY, SAVED, Channel, DomainFacts, PowerState

PLAN = a_plan()
VDA, VDB = PLAN.disks
BEFORE = disks_by_target(domain_xml())
EXTRA = Disk("vdc", "disk", "file", "/images/extra.qcow2", "qcow2")


def on_overlays() -> dict[str, Disk]:
    return BEFORE | {
        disk.target: replace(BEFORE[disk.target], source=disk.overlay, backing=(disk.base,)) for disk in PLAN.disks
    }


def facts(
    disks: dict[str, Disk] | None = None, power: PowerState = PowerState.RUNNING, reason: str = "booted", **more: object
) -> DomainFacts:
    there = tuple((on_overlays() if disks is None else disks).values())
    domain = DomainFacts(PLAN.uuid, PLAN.guest, power, reason, Channel.OPEN, disks=there)
    return replace(domain, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (BEFORE, ()),
        (BEFORE | {"vdc": EXTRA}, ("vdc was attached",)),
        ({"vda": BEFORE["vda"], "sda": BEFORE["sda"]}, ("vdb was detached",)),
        (BEFORE | {"vda": replace(BEFORE["vda"], source="/x")}, ("vda is on /x, not on /images/web.qcow2",)),
        (BEFORE | {"vda": replace(BEFORE["vda"], backing=("/x",))}, ("vda is on",)),
        (BEFORE | {"vda": replace(BEFORE["vda"], mirror_job="copy")}, ("a block job runs on vda",)),
        (BEFORE | {"sda": replace(BEFORE["sda"], source="/iso/b.iso")}, ()),
        ({"vda": BEFORE["vda"], "vdb": BEFORE["vdb"]}, ()),
        (BEFORE | {"fda": Disk("fda", "floppy", "file", "/f.img", "raw")}, ()),
    ],
)
def test_disks_that_hold_data_are_those_of_the_checks_or_nothing_is_done(
    now: dict[str, Disk], told: tuple[str, ...]
) -> None:
    assert all(word.startswith(wanted) for word, wanted in zip(changes(BEFORE, now), told, strict=True))
    if not told:
        refuse_changed(BEFORE, now)
        return
    with pytest.raises(GuestChangedError, match="changed since the checks"):
        refuse_changed(BEFORE, now)


def test_every_disk_of_the_definition_as_it_is_now_is_named_and_none_twice() -> None:
    now = BEFORE | {"vdc": EXTRA, "fda": Disk("fda", "floppy", "file", "", "raw")}
    assert others_of(PLAN, now) == ("sda", "vdc", "fda")
    xml = snapshot_xml(PLAN, others_of(PLAN, now))
    assert all(xml.count(f'name="{target}"') == 1 for target in now)
    assert xml.count('snapshot="no"') == 3


@pytest.mark.parametrize("base", ["/i/extra.qcow2", "/i/extra", "/i.d/extra", "/i/a.b.raw", "/i/.hidden"])
def test_an_overlay_that_libvirt_made_up_is_known_as_ours(base: str) -> None:
    overlay = generated_overlay(base, PLAN)
    assert is_overlay_name(overlay)
    assert overlay.endswith(f".{snapshot_name(PLAN)}")
    disk = Disk("vdc", "disk", "file", overlay, "qcow2", backing=(base,), base_format="raw")
    (found,) = unasked(PLAN, [*on_overlays().values(), disk])
    assert (found.base, found.overlay, found.format) == (base, overlay, ImageFormat.RAW)
    assert is_generated_overlay(found, PLAN)
    assert with_unasked(PLAN, [disk]).disks == (*PLAN.disks, found)
    fine = OverlayEvidence(True, True, None, (), has_block_job=False)
    assert "it is not the overlay of this run" not in objections(PLAN, found, fine)
    another = replace(PLAN, run_id="ffffffff")
    assert unasked(another, [disk]) == ()
    assert "it is not the overlay of this run" in objections(another, found, fine)


def what_is_seen(domain: DomainFacts) -> list[str]:
    return [each.what for each in sightings(PLAN, BEFORE, domain)]


def test_a_guest_that_runs_on_its_overlays_is_worth_no_word() -> None:
    assert what_is_seen(facts()) == []


def without(target: str) -> dict[str, Disk]:
    return {name: disk for name, disk in on_overlays().items() if name != target}


MIRRORED = on_overlays()["vda"]


@pytest.mark.parametrize(
    ("domain", "what", "ends"),
    [
        (facts(power=PowerState.PAUSED, reason=PAUSED_BY_IO_ERROR), IO_ERROR, True),
        (facts(power=PowerState.PAUSED, reason="paused by a user"), "paused paused by a user", False),
        (facts(power=PowerState.OFF, reason=MIGRATED_AWAY), "migrated", True),
        (facts(power=PowerState.OFF, reason=SAVED), f"off {SAVED}", False),
        (facts(power=PowerState.OFF, reason="crashed"), "off crashed", False),
        (facts(name="other"), "renamed", False),
        (facts(persistent=False), "not persistent", False),
        (facts(without("vdb")), "detached vdb", False),
        (facts(on_overlays() | {"vdc": EXTRA}), "attached vdc", False),
        (facts(on_overlays() | {"vda": BEFORE["vda"]}), "written vda", True),
        (facts(on_overlays() | {"vda": replace(MIRRORED, mirror_job="active-commit")}), "written vda", True),
        (facts(on_overlays() | {"vda": replace(MIRRORED, mirror_job="copy")}), "written vda", True),
        (
            facts(on_overlays() | {"vda": replace(MIRRORED, source="/o", backing=(VDA.overlay, VDA.base))}),
            "overlaid vda",
            False,
        ),
        (facts(BEFORE, power=PowerState.OFF, reason="shut down"), "redefined vda", False),
    ],
)
def test_each_hand_at_the_guest_is_named_and_ends_the_copy_only_where_that_is_spoilt(
    domain: DomainFacts, what: str, ends: bool
) -> None:
    seen = {each.what: each for each in sightings(PLAN, BEFORE, domain)}
    assert what in seen
    assert (seen[what].ends_copy is not None) is ends
    assert seen[what].words


def test_a_disk_is_detached_only_where_none_of_its_images_is_named_under_any_name() -> None:
    live = without("vdb")
    assert is_detached(VDB, live)
    for name in (VDB.overlay, VDB.base):
        assert not is_detached(VDB, live | {"vdz": replace(EXTRA, source=name)})
        assert not is_detached(VDB, live | {"vdz": replace(EXTRA, backing=("/o", name))})


def noticed(absence: str) -> Entry:
    return Entry(1.0, RunStage.NOTICED, {"what": "away", "absence": absence})


def test_how_a_guest_left_is_the_hypervisors_word_and_the_journals_once_that_is_lost() -> None:
    here = (PowerState.RUNNING, PowerState.PAUSED)
    left = (Absence.MIGRATED, Absence.SAVED)
    for absence, power in product(left, here):
        assert absence_of(power, absence, [noticed(absence)]) is Absence.NONE
    for absence in left:
        assert absence_of(PowerState.OFF, absence) is absence
        for lost in ("", "failed to start", "left by the daemon"):
            assert absence_of(PowerState.OFF, lost, [noticed(absence)]) is absence
            assert absence_of(PowerState.OFF, lost) is Absence.NONE
        for stopped_here in ("shut down", "forced off", "crashed"):
            assert absence_of(PowerState.OFF, stopped_here, [noticed(absence)]) is Absence.NONE
    assert noted_absence([noticed(Absence.SAVED), noticed(Absence.MIGRATED)]) is Absence.MIGRATED


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_guest_that_was_migrated_is_never_offered_to_be_merged(is_gone: bool) -> None:
    disks = tuple(DiskEvidence(disk, Place.OVERLAY, Place.OVERLAY, overlay_exists=True) for disk in PLAN.disks)
    evidence = GuestEvidence(
        PLAN, PowerState.OFF, "failed to start", is_ours=True, disks=disks, is_gone=is_gone, absence=Absence.MIGRATED
    )
    found = leftover_of(evidence)
    assert found is not None
    assert found.way is Way.EXPLAIN
    assert found.commands == ()
    assert "qga-tui rescue" in found.explanation
    assert "commit" not in found.explanation


HELD = FreezeFacts(3, still_frozen=True, held_s=0.1, thawed=3)


@pytest.mark.parametrize(
    ("seen", "is_proven"),
    [
        (HELD, True),
        (replace(HELD, thawed=None), True),
        (replace(HELD, still_frozen=False), False),
        (replace(HELD, still_frozen=None), False),
        # VSS let the writes go after ten seconds: the status says frozen all the same.
        (replace(HELD, thawed=None, thaw_error="couldn't hold writes: fsfreeze is limited up to 10 seconds"), False),
        (replace(HELD, held_s=9.0, may_end_itself=True), False),
        (replace(HELD, held_s=9.0), True),
        (replace(HELD, held_s=8.9, may_end_itself=True), True),
        # Somebody thawed file systems past the agent.
        (replace(HELD, thawed=2), False),
        (replace(HELD, thawed=0), False),
    ],
)
def test_a_freeze_counts_only_where_it_is_proven_to_have_held(seen: FreezeFacts, is_proven: bool) -> None:
    assert (doubt(seen) == "") is is_proven


class FakeListingHost:
    """Stands for a host with guests that are off, whose definitions name one image each."""

    def __init__(self, images: dict[str, str]) -> None:
        self._images = images

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def subscribe(self, listener: Callable[..., None]) -> Callable[[], None]:
        return lambda: None

    async def list_domains(self) -> tuple[DomainFacts, ...]:
        return tuple(
            DomainFacts(uuid, f"guest {uuid}", PowerState.OFF, "", Channel.ABSENT)
            for uuid in (*self._images, PLAN.uuid)
        )

    async def live_xml(self, uuid: str) -> str:
        return domain_xml(self._images.get(uuid, VDA.base))

    async def stored_xml(self, uuid: str) -> str:
        return await self.live_xml(uuid)


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="QEMU's tools are not installed")
def test_a_clone_that_is_off_is_found_by_its_image_and_our_own_guest_by_its_uuid(tmp_path: Path) -> None:
    base, clone, other, link = (str(tmp_path / name) for name in ("base.qcow2", "clone.qcow2", "other.qcow2", "link"))

    def create(path: str, *below: str) -> None:
        words = ("qemu-img", "create", "-q", "-f", "qcow2", *below, path, "1M")
        assert asyncio.run(run_program(*words))[0] == 0

    create(base)
    create(other)
    Path(link).symlink_to(base)
    create(clone, "-F", "qcow2", "-b", link)
    disk = planned("vda", base)
    plan = replace(PLAN, disks=(disk,))

    async def users(images: dict[str, str], *names: str) -> tuple[str, ...]:
        host = cast("Host", FakeListingHost(images))
        return await other_users(HostSession(lambda uri: host, "fake:///", Patience()), plan, names)

    assert asyncio.run(users({"1": clone, "2": other}, base)) == ("guest 1",)
    assert asyncio.run(users({"1": link}, base)) == ("guest 1",)
    assert asyncio.run(users({"2": other}, base)) == ()
    assert asyncio.run(users({}, VDA.base)) == ()
