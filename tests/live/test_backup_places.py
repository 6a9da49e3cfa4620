"""Disks whose paths are not what they seem: devices behind pools, detours, relative names; and where overlays lie."""

import asyncio
import json
import os
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, laboratory_of_one, log_of, needs_root
from tests.live.kill_matrix import LONG_S, SPEC, copy_of
from tests.live.restoring import fixes_offered
from tui.backup.images import run_program
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.propose import propose
from tui.backup.restore.plan import Change, ChangeKind, RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import Wishes
from tui.backup.runstate import EXIT_DONE, RunState
from tui.backup.scan import find_leftovers
from tui.backup.volatile import volatile_here
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


async def attach(lab: Laboratory, device: str) -> None:
    """Give the running guest a disk, now and at its next start."""
    place = lab.folder / "device.xml"
    place.write_text(device)
    await lab.virsh("attach-device", SPEC.name, str(place), "--live", "--config")


async def detach(lab: Laboratory, host: Host, target: str) -> None:
    await lab.virsh("detach-disk", SPEC.name, target, "--live", "--config")
    async with asyncio.timeout(LONG_S):
        # The guest gives the disk back in its own time, and no event of the port tells of it.
        while any(disk.target == target for disk in (await facts_of(host, SPEC.name)).disks):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def backed_up(host: Host, target: Path, disk: str, overlays: Path | None = None) -> tuple[BackupPlan, RunState]:
    """A backup of one disk, done as asked, with every disk named as it was and nothing left behind."""
    before = {each.target: each.source for each in (await facts_of(host, SPEC.name)).disks}
    facts = await facts_of(host, SPEC.name)
    proposal = await propose(host, facts, target, (disk,), quiesce=QuiescePolicy.OFF, overlays=overlays)
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, held_worker.argv("none"))
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_DONE, ()), log_of(run)
    assert {each.target: each.source for each in (await facts_of(host, SPEC.name)).disks} == before
    assert await find_leftovers(host) == ()
    assert await copy_of(proposal.plan) == ("good", [])
    return proposal.plan, state


@pytest.fixture
def partition(loop_device: str) -> Iterator[str]:
    """A partition of a device, as a pool of the kind `disk` keeps them; there is no device mapper for logical ones."""
    content = bytearray(512)
    content[446:462] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\xff\xff\xff", 2048, 20 * MIB // 512)
    content[510:] = b"\x55\xaa"
    with Path(loop_device).open("r+b") as device:
        device.write(content)
    subprocess.run(["partx", "--add", loop_device], check=True)
    name = f"{loop_device}p1"
    owner = Path(loop_device).stat()
    shutil.chown(name, owner.st_uid, owner.st_gid)
    yield name
    subprocess.run(["partx", "--delete", loop_device], check=True)


@needs_root
async def test_a_device_behind_a_pool_has_its_overlay_on_a_disk_and_is_never_replaced(
    lab: Laboratory, host: Host, target: Path, loop_device: str, partition: str
) -> None:
    name = Path(partition).name
    words = ("--source-dev", loop_device, "--source-format", "dos", "--target", "/dev")
    await lab.virsh("pool-create-as", "devices", "disk", *words)
    await attach(
        lab,
        "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>"
        f"<source pool='devices' volume='{name}'/><target dev='vdc' bus='virtio'/></disk>",
    )
    try:
        plan, state = await backed_up(host, target, "vdc")
        (disk,) = plan.disks
        assert (disk.base, disk.named, disk.is_device) == (partition, f"devices/{name}", True)
        assert volatile_here(str(Path(disk.overlay).parent)) == ""
        assert (state.result / "disks/vdc.raw").read_bytes() == Path(partition).read_bytes()
        (saved,) = json.loads((state.result / "manifest.json").read_text())["disks"]
        assert saved["is_device"] is True
        notes = (state.result / "RESTORE.md").read_text()
        assert f"qemu-img convert -n -f raw -O raw disks/vdc.raw {partition}" in notes
        assert "mv /dev/" not in notes
        assert "DISKS=/dev/" not in notes
    finally:
        await detach(lab, host, "vdc")
        await lab.virsh("pool-destroy", "devices")

    change = await file_offered(host, state.result)
    assert volatile_here(str(Path(change.value).parent)) == ""
    # An older backup has the definition's word alone; and the device may be gone by now.
    manifest = json.loads((state.result / "manifest.json").read_text())
    assert manifest["disks"][0].pop("is_device")
    (state.result / "manifest.json").write_text(json.dumps(manifest))
    assert not read_saved(state.result).disks[0].was_on_device
    await file_offered(host, state.result)
    manifest["disks"][0]["original"] = "/dev/gone/lv"
    (state.result / "manifest.json").write_text(json.dumps(manifest))
    await file_offered(host, state.result)


async def file_offered(host: Host, folder: Path) -> Change:
    """The one file that a restore in place offers, where it would not replace a device."""
    fixes = await fixes_offered(host, folder, Wishes(RestoreWay.IN_PLACE))
    (change,) = (change for fix in fixes for change in fix.wishes.changes if change.kind is ChangeKind.FILE)
    return change


async def test_slashes_links_and_a_relative_name_below_come_to_the_real_images(
    lab: Laboratory, host: Host, target: Path
) -> None:
    owner = (lab.folder / "g").stat()
    place = lab.folder / "g" / "detours"
    for name in ("bases", "guests", "links"):
        (place / name).mkdir(parents=True)
    cloud, image = place / "bases/cloud.raw", place / "guests/rel.qcow2"
    cloud.write_bytes(os.urandom(MIB))
    words = ("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../bases/cloud.raw", str(image), str(4 * MIB))
    code, _, said = await run_program("qemu-img", *words)
    assert code == 0, said
    (place / "links/a.qcow2").symlink_to(image)
    for path in (place, *place.rglob("*")):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    spelled = f"{lab.folder}/g//detours/./links/a.qcow2"
    await attach(
        lab,
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{spelled}'/>"
        "<target dev='vdc' bus='virtio'/></disk>",
    )
    chosen = lab.folder / "g" / "overlays"
    chosen.mkdir()
    shutil.chown(chosen, owner.st_uid, owner.st_gid)
    try:
        live = next(disk for disk in (await facts_of(host, SPEC.name)).disks if disk.target == "vdc")
        assert (live.source, ".." in live.backing[0]) == (spelled, True)
        plan, _ = await backed_up(host, target, "vdc")
        (disk,) = plan.disks
        assert (disk.base, disk.below) == (str(image), (str(cloud),))
        assert Path(disk.overlay).parent == image.parent
        plan, _ = await backed_up(host, target, "vdc", overlays=chosen)
        assert Path(plan.disks[0].overlay).parent == chosen
        assert list(chosen.iterdir()) == []
    finally:
        await detach(lab, host, "vdc")
