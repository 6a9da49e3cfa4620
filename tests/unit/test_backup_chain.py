import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from tests.unit.backup_values import a_plan, domain_xml
from tui.backup.chain import Place, disks_by_target, names_path, place_of, snapshot_xml
from tui.backup.images import ImageInfo
from tui.backup.tidy import OverlayEvidence, objections

PLAN = a_plan()
DISK = PLAN.disks[0]
BELOW = f"<backingStore type='file'><format type='qcow2'/><source file='{DISK.base}'/></backingStore>"
FINE = OverlayEvidence(True, True, ImageInfo("qcow2", 1 << 30, DISK.base), (), has_block_job=False)


def test_the_snapshot_names_every_disk() -> None:
    disks = {disk.get("name"): disk for disk in ET.fromstring(snapshot_xml(PLAN, PLAN.left_out)).iter("disk")}
    assert {name: disk.get("snapshot") for name, disk in disks.items()} == {
        "vda": "external",
        "vdb": "external",
        "sda": "no",
    }
    source = disks["vda"].find("source")
    assert source is not None
    assert source.get("file") == DISK.overlay


@pytest.mark.parametrize(
    ("source", "below", "place"),
    [
        (DISK.base, "", Place.BASE),
        (DISK.base, "<mirror type='file' job='copy'><source file='/x'/></mirror>", Place.ELSEWHERE),
        (DISK.overlay, BELOW, Place.OVERLAY),
        (DISK.overlay, "", Place.OVERLAY),
        (DISK.overlay, BELOW.replace(DISK.base, "/other"), Place.ELSEWHERE),
        (DISK.overlay, BELOW + "<mirror type='file' job='active-commit'><source file='b'/></mirror>", Place.MERGING),
        (DISK.overlay, BELOW + "<mirror job='active-commit' ready='yes'/>", Place.READY),
        (DISK.overlay, BELOW + "<mirror job='active-commit' ready='abort'/>", Place.MERGING),
        (DISK.overlay, BELOW + "<mirror job='copy' ready='yes'/>", Place.ELSEWHERE),
        ("/other.qcow2", BELOW, Place.ELSEWHERE),
    ],
)
def test_where_a_disk_stands_is_read_from_its_definition(source: str, below: str, place: Place) -> None:
    assert place_of(disks_by_target(domain_xml(source, below)).get("vda"), DISK) is place


def test_a_disk_that_is_gone_is_elsewhere() -> None:
    assert place_of(None, DISK) is Place.ELSEWHERE


def test_a_path_is_found_wherever_it_stands() -> None:
    assert names_path(domain_xml(DISK.overlay, BELOW), DISK.base)
    assert names_path("<domain><x>/a b</x></domain>", "/a b")
    assert not names_path(domain_xml(), DISK.overlay)


def test_an_overlay_is_deleted_when_everything_is_proven() -> None:
    assert objections(PLAN, DISK, FINE) == ()


@pytest.mark.parametrize(
    "evidence",
    [
        replace(FINE, is_plain_file=False),
        replace(FINE, info=None),
        replace(FINE, info=ImageInfo("raw", 1, DISK.base)),
        replace(FINE, info=ImageInfo("qcow2", 1, "/images/other.qcow2")),
        replace(FINE, info=ImageInfo("qcow2", 1, "")),
        replace(FINE, named_by=("web 2",)),
        replace(FINE, has_block_job=True),
    ],
)
def test_one_open_question_keeps_an_overlay(evidence: OverlayEvidence) -> None:
    assert len(objections(PLAN, DISK, evidence)) == 1


def test_a_base_is_never_taken_for_an_overlay() -> None:
    assert objections(PLAN, replace(DISK, overlay=DISK.base), FINE)
