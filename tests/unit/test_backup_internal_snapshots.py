"""Snapshots within an image are read from the image, and told where a conversion drops them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.unit.test_backup_preflight import PLAN, WELL, verdicts, with_first_image
from tui.backup.capture import Capture
from tui.backup.checks import Verdict
from tui.backup.copying import FileMark
from tui.backup.images import Header, read_header
from tui.backup.manifest import Consistency, FreezeReport, copied_disk, manifest_json
from tui.backup.preflight import RED_TITLE, checks_of, red_list
from tui.backup.reach import ImageLook
from tui.hosts.port import HostVersions

NAMES = ("before upgrade", "ünïcode", "3")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    for name in NAMES:
        subprocess.run(["qemu-img", "snapshot", "-c", name, path], check=True)
    return path


def test_their_names_are_read_from_the_image(image: Path) -> None:
    header = read_header(str(image))
    assert header is not None
    assert (header.snapshots, header.snapshot_names) == (3, NAMES)
    subprocess.run(["qemu-img", "snapshot", "-d", "3", image], check=True)
    again = read_header(str(image))
    assert again is not None
    assert again.snapshot_names == NAMES[:2]


def test_a_table_that_cannot_be_read_is_counted(image: Path) -> None:
    with image.open("r+b") as file:
        file.seek(64)
        file.write((1 << 40).to_bytes(8, "big"))
    header = read_header(str(image))
    assert header is not None
    assert header.snapshot_names == ("3 more",)


@pytest.mark.parametrize("how", ["compact", "chain"])
def test_a_conversion_that_drops_them_waits_until_that_is_accepted(how: str) -> None:
    evidence = with_first_image(snapshots=NAMES)
    assert "snapshots" not in red_list(PLAN, evidence)
    disk = PLAN.disks[0] if how == "compact" else replace(PLAN.disks[0], below=("/images/base.qcow2",))
    plan = replace(PLAN, compact=how == "compact", disks=(disk, PLAN.disks[1]))
    evidence = replace(evidence, images=(replace(evidence.images[0], disk=disk), evidence.images[1]))
    assert all(name in red_list(plan, evidence)["snapshots"] for name in NAMES)
    (check,) = (each for each in checks_of(plan, evidence) if each.title == RED_TITLE)
    assert check.verdict is Verdict.FAILED
    assert "--accept snapshots" in check.next_step
    accepted = [each for each in checks_of(replace(plan, accepted=("snapshots",)), evidence) if each.title == RED_TITLE]
    assert [each.verdict for each in accepted] == [Verdict.WARNING]


def test_that_they_stay_is_said_of_the_guest_alone() -> None:
    evidence = replace(WELL, snapshots=("s1",))
    assert verdicts(evidence) == {"Snapshots": Verdict.WARNING}
    (check,) = (each for each in checks_of(PLAN, evidence) if each.title == "Snapshots")
    assert "in the guest they stay as they are" in check.evidence
    assert "copied byte by byte" in check.evidence


def test_the_manifest_names_what_a_conversion_dropped() -> None:
    header = Header(has_backing=False, encrypted=False, external_data=False, virtual_bytes=1, snapshot_names=NAMES)
    look = ImageLook(1, 1, header, FileMark(1, 1, 1), is_file=True, owner=0, group=0, mode=0o600)
    for compact in (True, False):
        capture = cast("Capture", SimpleNamespace(plan=replace(PLAN, compact=compact)))
        dropped = Capture._dropped(capture, PLAN.disks[0], (look,))
        assert dropped == (NAMES if compact else ())
    copied = replace(copied_disk(PLAN, PLAN.disks[0], look, 1, 1, "0" * 64), dropped_snapshots=NAMES)
    told = json.loads(manifest_json(PLAN, HostVersions("9", "7"), FreezeReport(Consistency.CRASH), (copied,), {}))
    assert told["disks"][0]["dropped_snapshots"] == list(NAMES)
