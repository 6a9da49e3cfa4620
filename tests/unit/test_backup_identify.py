"""Which image each disk is, and where its overlay goes: real files and devices under all kinds of names."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.corpus.odd_disks import qemu_img
from tests.live.backup_fixtures import needs_root
from tests.unit.backup_values import STAMP, UUID, a_plan, domain_xml
from tui.backup.chain import Place, disks_by_target, names_path, place_of, with_base
from tui.backup.errors import BackupError
from tui.backup.fitness import without_unfit
from tui.backup.overlay_place import IMAGES
from tui.backup.plan import BackupPlan, QuiescePolicy, is_own_overlay, read_plan
from tui.backup.propose import plan_for
from tui.backup.reach_files import FileReach
from tui.backup.volatile import volatile_here
from tui.hosts.daemon_process import DaemonProcess
from tui.hosts.port import Host, HostError
from tui.hosts.storage import PoolFolder
from tui.model.disk import Disk
from tui.model.guest import Channel, DomainFacts, PowerState

GONE = "Storage pool not found: no pool with matching name 'gone'"


class FakeStorageHost:
    """Stands for a host of this machine with pools: no real one has any pool at a moment's notice."""

    name = "here"
    uri = "qemu:///session"

    def __init__(self, paths: dict[str, str] | None = None, folders: tuple[PoolFolder, ...] = ()) -> None:
        self._paths = paths or {}
        self._folders = folders

    async def daemon_process(self) -> DaemonProcess:
        """This one sees the files that it sees itself."""
        return DaemonProcess(pid=os.getpid())

    async def volume_path(self, pool: str, volume: str) -> str:
        """As libvirt has it, or its word for a pool that is not there."""
        if f"{pool}/{volume}" not in self._paths:
            raise HostError("The host refused", original=GONE)
        return self._paths[f"{pool}/{volume}"]

    def storage(self, _pool_name: str) -> FakeStorageHost:
        """Itself."""
        return self

    async def folders(self) -> tuple[PoolFolder, ...]:
        """Those it was given."""
        return self._folders


def file_disk(target: str, path: object, image_format: str = "raw", **more: object) -> Disk:
    return replace(Disk(target, "disk", "file", str(path), image_format), **more)  # type: ignore[arg-type]


async def planned(
    *disks: Disk,
    host: FakeStorageHost | None = None,
    wanted: tuple[str, ...] | None = None,
    overlays: Path | None = None,
    power: PowerState = PowerState.RUNNING,
) -> BackupPlan:
    facts = DomainFacts(UUID, "web 1", power, "", Channel.OPEN, disks=disks)
    there = cast("Host", host or FakeStorageHost())
    return await plan_for(there, facts, Path("/backups"), wanted, QuiescePolicy.OFF, overlays)


def reasons(plan: BackupPlan) -> dict[str, str]:
    return {each.target: each.reason for each in plan.unfit}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "images/a.raw"
    path.parent.mkdir()
    path.write_bytes(bytes(4096))
    return path


@pytest.fixture
def other(image: Path) -> Disk:
    path = image.with_name("other.raw")
    path.write_bytes(bytes(4096))
    return file_disk("vdb", path)


@pytest.mark.parametrize(
    "spelling", ["images//a.raw", "images/./a.raw", "images/../images/a.raw", "link.raw", "way/a.raw"]
)
async def test_however_it_is_spelled_the_real_image_is_planned_and_the_spelling_is_recognised(
    tmp_path: Path, image: Path, spelling: str
) -> None:
    (tmp_path / "link.raw").symlink_to("images/a.raw")
    (tmp_path / "way").symlink_to("images")
    spelled = f"{tmp_path}/{spelling}"
    plan = await planned(file_disk("vda", spelled))
    (disk,) = plan.disks
    assert read_plan(plan.to_json()) == plan
    assert (disk.base, disk.named, disk.is_device, disk.overlay_apart) == (str(image), spelled, False, False)
    assert Path(disk.overlay).parent == image.parent
    assert place_of(file_disk("vda", spelled), disk) is Place.BASE
    on_overlay = file_disk("vda", disk.overlay, "qcow2", backing=(spelled,))
    assert place_of(on_overlay, disk) is Place.OVERLAY
    assert place_of(replace(on_overlay, backing=(f"{spelled}x",)), disk) is Place.ELSEWHERE
    back = with_base(domain_xml(disk.overlay), plan.disks)
    assert disks_by_target(back)["vda"].source == spelled
    assert names_path(domain_xml(disk.overlay.replace("/images/", "//images/./")), disk.overlay)


async def test_what_lies_below_is_planned_under_its_real_path(tmp_path: Path, image: Path) -> None:
    below = f"{tmp_path}/images/../images//a.raw"
    plan = await planned(file_disk("vda", tmp_path / "top.qcow2", "qcow2", backing=(below,)))
    assert plan.disks[0].below == (str(image),)


@pytest.mark.parametrize("how", ["link", "hard link", "same", "below"])
async def test_two_disks_on_one_image_are_left_out_and_the_others_stay(
    tmp_path: Path, image: Path, other: Disk, how: str
) -> None:
    second = tmp_path / "second.raw"
    backing: tuple[str, ...] = ()
    match how:
        case "link":
            second.symlink_to(image)
        case "hard link":
            second.hardlink_to(image)
        case "same":
            second = image
        case "below":
            second, backing = tmp_path / "top.qcow2", (str(image),)
    twin = file_disk("vdc", second, "qcow2" if backing else "raw", backing=backing)
    plan = await planned(file_disk("vda", image), other, twin)
    assert "vda" in reasons(plan)
    assert "the same image" in reasons(plan)["vda"]
    kept = {disk.target for disk in plan.disks}
    assert kept == ({"vdb", "vdc"} if how == "below" else {"vdb"})
    assert kept | set(plan.left_out) == {"vda", "vdb", "vdc"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("relative/a.raw", "no path on the host"),
        ("X:\\a.vhdx", "no path on the host"),
        (f"/{'a' * 300}", "longer than any name"),
        (f"/{'a/' * 2500}", "longer than any"),
        ("/dev/null", "a character device"),
        ("/", "a folder"),
    ],
)
async def test_one_strange_path_leaves_out_that_disk_alone(other: Disk, source: str, reason: str) -> None:
    plan = await planned(file_disk("vda", source), other)
    assert reason in reasons(plan)["vda"]
    assert [disk.target for disk in plan.disks] == ["vdb"]
    assert plan.left_out == ("vda",)


async def test_a_pipe_and_a_link_to_itself_are_left_out_without_being_opened(tmp_path: Path, other: Disk) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    plan = await planned(file_disk("vda", tmp_path / "fifo"), file_disk("vdc", tmp_path / "loop"), other)
    assert set(reasons(plan)) == {"vda", "vdc"}
    assert [disk.target for disk in plan.disks] == ["vdb"]


@pytest.mark.parametrize(("volume", "reason"), [("gone/web", GONE), ("ceph/img", "over the network")])
async def test_a_volume_without_a_path_leaves_out_that_disk_alone(other: Disk, volume: str, reason: str) -> None:
    host = FakeStorageHost({"ceph/img": "rbd/img"})
    disk = Disk("vda", "disk", "volume", volume, "raw")
    plan = await planned(disk, other, host=host)
    assert reason in reasons(plan)["vda"]
    for wanted in (("vda",), ("vda", "vdb")):
        with pytest.raises(BackupError) as refused:
            await planned(disk, other, host=host, wanted=wanted)
        assert reason in refused.value.cause
    with pytest.raises(BackupError, match="no disk to back up") as alone:
        await planned(disk, host=host)
    assert reason in alone.value.cause


@pytest.fixture
def strange_images(tmp_path: Path) -> dict[str, str]:
    """Images that no backup can save, with a part of the reason."""
    secret = ("--object", "secret,id=s,data=x")
    luks = ("-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10")
    qemu_img("create", "-q", *secret, "-f", "qcow2", *luks, tmp_path / "luks.qcow2", "1M")
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data", tmp_path / "outside.qcow2", "1M")
    (tmp_path / "raw.qcow2").write_bytes(bytes(4096))
    return {
        "luks.qcow2": "encrypted",
        "outside.qcow2": "another file",
        "raw.qcow2": "no qcow2",
        "gone.qcow2": "there is no",
    }


async def test_what_an_image_itself_says_leaves_out_that_disk_alone(
    tmp_path: Path, other: Disk, strange_images: dict[str, str]
) -> None:
    for name, reason in strange_images.items():
        plan = await planned(file_disk("vda", tmp_path / name, "qcow2"), other)
        fit = await without_unfit(plan, FileReach())
        assert reason in reasons(fit)["vda"]
        assert [disk.target for disk in fit.disks] == ["vdb"]
        assert fit.left_out[-1] == "vda"
        assert read_plan(fit.to_json()) == fit


@needs_root
async def test_a_device_is_one_whatever_the_definition_calls_it_and_its_overlay_lies_among_the_guests_files(
    tmp_path: Path, image: Path
) -> None:
    os.mknod(tmp_path / "dm-3", stat.S_IFBLK | 0o600, os.makedev(7, 251))
    (tmp_path / "vg").mkdir()
    (tmp_path / "vg/lv").symlink_to("../dm-3")
    device = f"{tmp_path}/vg/lv"
    host = FakeStorageHost({"vg/lv": device})
    disks = {
        "file": file_disk("vda", device),
        "block": Disk("vda", "disk", "block", f"{tmp_path}/vg//lv", "raw"),
        "volume": Disk("vda", "disk", "volume", "vg/lv", "raw"),
    }
    for kind, disk in disks.items():
        plan = await planned(disk, file_disk("vdb", image), host=host)
        found = plan.disks[0]
        # The name that lasts, not the one of the moment behind it.
        assert (found.base, found.is_device, found.kind) == (device, True, kind)
        assert (Path(found.overlay).parent, found.overlay_apart) == (image.parent, True)
        assert is_own_overlay(found, plan.stamp)
        assert read_plan(plan.to_json()) == plan
    second = Disk("vdc", "disk", "block", f"{tmp_path}/dm-3", "raw")
    plan = await planned(disks["volume"], second, file_disk("vdb", image), host=host)
    assert set(reasons(plan)) == {"vda", "vdc"}


async def test_overlays_never_lie_in_memory(tmp_path: Path, image: Path) -> None:
    in_memory = Path("/dev/shm") / f"qga-tui-test-{os.getpid()}.raw"
    in_memory.write_bytes(bytes(4096))
    try:
        plan = await planned(file_disk("vda", in_memory), file_disk("vdb", image))
        assert Path(plan.disks[0].overlay).parent == image.parent
        plan = await planned(file_disk("vda", in_memory))
        assert Path(plan.disks[0].overlay).parent == Path(IMAGES)
        pool = PoolFolder(str(tmp_path), 1)
        plan = await planned(file_disk("vda", in_memory), host=FakeStorageHost(folders=(pool,)))
        assert Path(plan.disks[0].overlay).parent == tmp_path
    finally:
        in_memory.unlink()
    for folder in ("/dev/shm", "/dev", "/dev/shm/../shm"):
        assert volatile_here(folder)
        with pytest.raises(BackupError, match="cannot lie") as refused:
            await planned(file_disk("vda", image), overlays=Path(folder))
        assert "--overlays" in refused.value.next_step


async def test_a_folder_that_is_named_takes_all_overlays(tmp_path: Path, image: Path, other: Disk) -> None:
    plan = await planned(file_disk("vda", image), other, overlays=tmp_path)
    assert {Path(disk.overlay).parent for disk in plan.disks} == {tmp_path}
    assert all(is_own_overlay(disk, plan.stamp) for disk in plan.disks)
    assert not is_own_overlay(replace(plan.disks[0], overlay=str(tmp_path / "another.qcow2")), plan.stamp)


def test_plans_of_before_are_read_with_what_they_tell() -> None:
    raw = json.loads(a_plan().to_json())
    for key in ("unfit",):
        raw.pop(key)
    for disk in raw["disks"]:
        for key in ("is_device", "called", "overlay_apart"):
            disk.pop(key)
    raw["disks"][1] |= {"kind": "block", "base": "/dev/vg/data", "overlay": f"/srv/data.qgatui-{STAMP}.vdb.qcow2"}
    first, second = read_plan(json.dumps(raw)).disks
    assert (first.is_device, first.overlay_apart) == (False, False)
    assert (second.is_device, second.overlay_apart) == (True, True)
