"""A qcow2 image on a device: what it may need is what qemu-img measures, and a device that is too small is told."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.test_backup_preflight import FACTS, GIB, HEADER, PLAN, WELL, with_first_image
from tui.backup.checks import Verdict
from tui.backup.device_room import enlarge_advice, is_full_device, most_bytes
from tui.backup.evidence import Evidence
from tui.backup.images import read_header
from tui.backup.plan import ImageFormat, PlannedDisk
from tui.backup.preflight_room import room_checks
from tui.model.guest import PowerState


def measured(mib: int, cluster: int) -> int:
    words = (
        "qemu-img",
        "measure",
        "--output=json",
        "--size",
        f"{mib}M",
        "-O",
        "qcow2",
        "-o",
        f"cluster_size={cluster}",
    )
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    return int(json.loads(done.stdout)["fully-allocated"])


@pytest.mark.parametrize(
    ("mib", "cluster"),
    # QEMU makes no image of the smallest clusters larger than its first table may be.
    [(1, 512), (100, 512), (1, 4096), (100, 65536), (4096, 65536), (1048576, 65536), (4096, 2097152)],
)
def test_the_most_that_an_image_takes_is_what_qemu_img_measures(mib: int, cluster: int) -> None:
    header = replace(HEADER, virtual_bytes=mib << 20, cluster_bits=cluster.bit_length() - 1)
    assert most_bytes(header) == pytest.approx(measured(mib, cluster), rel=0.002)
    assert most_bytes(header) >= measured(mib, cluster)


def on_device(length: int) -> Evidence:
    evidence = with_first_image(length=length, used_bytes=GIB // 4)
    image = replace(evidence.images[0], disk=replace(PLAN.disks[0], is_device=True))
    return replace(evidence, images=(image, evidence.images[1]))


@pytest.mark.parametrize(("length", "verdict"), [(2 * GIB, Verdict.PASSED), (GIB // 2, Verdict.WARNING)])
def test_a_device_smaller_than_its_image_may_get_is_warned_of_with_what_to_type(length: int, verdict: Verdict) -> None:
    (check,) = [each for each in room_checks(PLAN, on_device(length)) if "web.qcow2" in each.evidence]
    assert (check.title, check.verdict) == ("Room for the merge", verdict)
    if verdict is Verdict.WARNING:
        assert f"lvextend --size {most_bytes(HEADER)}b /images/web.qcow2" in check.next_step


def test_a_guest_that_is_off_and_a_file_need_no_such_room() -> None:
    off = replace(on_device(1 << 20), facts=replace(FACTS, power=PowerState.OFF))
    for evidence in (off, WELL):
        assert not [each for each in room_checks(PLAN, evidence) if "web.qcow2" in each.evidence]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """It stands for a device: its length is what is compared."""
    path = tmp_path / "stands for a device"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write 0 9M", path], check=True, capture_output=True)
    return path


async def test_an_image_that_reaches_the_end_of_its_device_is_full(image: Path) -> None:
    disk = PlannedDisk("vda", str(image), ImageFormat.QCOW2, "/overlay", is_device=True)
    header = read_header(str(image))
    assert header is not None
    assert await is_full_device(disk)
    assert f"lvextend --size {most_bytes(header)}b" in await enlarge_advice(disk)
    with image.open("r+b") as file:
        file.truncate(64 << 20)
    assert not await is_full_device(disk)
    assert await enlarge_advice(disk) == ""
    assert not await is_full_device(replace(disk, is_device=False))
