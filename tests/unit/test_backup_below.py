"""What a guest's disk lies on, read from real images while it is off."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan, planned
from tests.unit.test_backup_preflight import FACTS, HEADER, WELL, with_first_image
from tui.backup.below import with_chains
from tui.backup.checks import Verdict
from tui.backup.evidence import _look_at
from tui.backup.plan import BackupPlan, ImageFormat
from tui.backup.preflight import checks_of
from tui.backup.reach_files import FileReach
from tui.model.guest import PowerState


def image(path: Path, image_format: str = "qcow2", below: str = "", below_format: str = "") -> Path:
    words = ["-F", below_format, "-b", below] if below else []
    size = [] if below else ["1M"]
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, *words, path, *size], check=True)
    return path


def lay(path: Path, below: str, below_format: str) -> None:
    """Write into an image what it lies on, whatever that is."""
    words = ("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", below_format, "-b", below, str(path))
    subprocess.run(words, check=True)


def plan_of(base: Path) -> BackupPlan:
    return replace(a_plan(), disks=(planned("vda", str(base)), planned("vdb", "/gone/data.raw", ImageFormat.RAW)))


async def below_of(base: Path) -> tuple[str, ...]:
    plan = await with_chains(plan_of(base), FileReach())
    assert plan.disks[1].below == ()
    return plan.disks[0].below


async def test_a_chain_is_followed_down_to_an_image_that_stands_alone(tmp_path: Path) -> None:
    cloud = image(tmp_path / "cloud.raw", "raw")
    middle = image(tmp_path / "middle.qcow2", below="cloud.raw", below_format="raw")
    top = image(tmp_path / "top.qcow2", below=str(middle), below_format="qcow2")
    assert await below_of(top) == (str(middle), str(cloud))
    assert await below_of(middle) == (str(cloud),)
    assert await below_of(image(tmp_path / "alone.qcow2")) == ()


async def test_a_way_with_detours_to_an_image_below_becomes_a_plain_one(tmp_path: Path) -> None:
    for folder in ("bases/deep", "guests"):
        (tmp_path / folder).mkdir(parents=True)
    cloud = image(tmp_path / "bases/cloud.raw", "raw")
    assert await below_of(image(tmp_path / "guests/top.qcow2", below="../bases/cloud.raw", below_format="raw")) == (
        str(cloud),
    )
    (tmp_path / "guests/link").symlink_to(tmp_path / "bases/deep")
    linked = image(tmp_path / "guests/linked.qcow2", below="link/../cloud.raw", below_format="raw")
    assert await below_of(linked) == (str(cloud),)


async def test_what_the_definition_tells_is_left_as_it_is(tmp_path: Path) -> None:
    top = image(tmp_path / "top.qcow2", below=str(image(tmp_path / "a.raw", "raw")), below_format="raw")
    plan = plan_of(top)
    told = replace(plan, disks=(replace(plan.disks[0], below=("/told/by.libvirt",)), plan.disks[1]))
    assert (await with_chains(told, FileReach())).disks == told.disks


async def test_an_image_below_that_is_gone_is_named_by_the_checks(tmp_path: Path) -> None:
    lower = image(tmp_path / "lower.raw", "raw")
    top = image(tmp_path / "top.qcow2", below=str(lower), below_format="raw")
    lower.unlink()
    disk = (await with_chains(plan_of(top), FileReach())).disks[0]
    assert disk.below == (str(lower),)
    assert (await _look_at(FileReach(), disk))[0] == f"there is no {lower}"


async def test_a_chain_that_is_known_in_part_is_refused(tmp_path: Path) -> None:
    lowest = image(tmp_path / "lowest.raw", "raw")
    lower = image(tmp_path / "lower.qcow2", below=str(lowest), below_format="raw")
    top = image(tmp_path / "top.qcow2", below=str(lower), below_format="qcow2")
    whole = (await with_chains(plan_of(top), FileReach())).disks[0]
    assert (await _look_at(FileReach(), whole))[0] == ""
    part = replace(whole, below=whole.below[:1])
    assert (await _look_at(FileReach(), part))[0] == f"what {lower} lies on cannot be told"


async def unfit_of(base: Path) -> str:
    """Why the plan's first disk is left out; its other one stays."""
    plan = await with_chains(plan_of(base), FileReach())
    assert [disk.target for disk in plan.disks] == ["vdb"]
    assert plan.left_out[-1] == "vda"
    (unfit,) = plan.unfit
    assert unfit.target == "vda"
    return unfit.reason


@pytest.mark.parametrize(
    ("below", "below_format", "reason"),
    [
        ("nbd://127.0.0.1:1/x", "raw", "which is no file"),
        ("/images/a.vmdk", "vmdk", "says vmdk of the format"),
        ("/images/a.vmdk", "vmdk", "qemu-img rebase -u -F FORMAT -b /images/a.vmdk"),
    ],
)
async def test_what_no_backup_can_copy_leaves_that_disk_out_with_its_reason(
    tmp_path: Path, below: str, below_format: str, reason: str
) -> None:
    top = image(tmp_path / "top.qcow2")
    lay(top, below, below_format)
    assert reason in await unfit_of(top)


async def test_a_chain_that_goes_round_comes_to_an_end(tmp_path: Path) -> None:
    one, two = image(tmp_path / "one.qcow2"), image(tmp_path / "two.qcow2")
    for top, lower in ((one, two), (two, one)):
        lay(top, str(lower), "qcow2")
    assert "more than" in await unfit_of(one)


def test_the_check_of_a_chain_sends_nobody_to_start_a_guest_that_is_off() -> None:
    chained = with_first_image(header=replace(HEADER, has_backing=True))
    off = replace(chained, facts=replace(FACTS, power=PowerState.OFF))
    for evidence, step in ((chained, "Start the guest anew"), (off, "qemu-img info --backing-chain /images/web.qcow2")):
        (check,) = (each for each in checks_of(a_plan(), evidence) if each.title == "Disk vda")
        assert check.verdict is Verdict.FAILED
        assert step in check.next_step
    assert WELL.facts.power is PowerState.RUNNING
