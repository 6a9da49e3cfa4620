"""A guest with a disk on a block device, restored in place: the disk becomes a file, and the device is not touched."""

import json
import os
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import facts_of, needs_root
from tests.live.held_worker import HELD
from tests.live.kill_matrix import rescue_by_hand, until
from tests.live.restore_matrix import OFF_SPEC, everything
from tests.live.restoring import NAME, back_up, fixes_offered, proposed, qga_tui
from tui.backup.launch import launch
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import MOMENTS, Wishes
from tui.backup.runs import worker_alive, worker_pid
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with Laboratory() as laboratory:
        await laboratory.add(OFF_SPEC)
        yield laboratory


async def attach(lab: Laboratory, device: str) -> None:
    """Give the guest the device as its vdc."""
    words = ("--sourcetype", "block", "--driver", "qemu", "--subdriver", "raw", "--targetbus", "virtio", "--config")
    await lab.virsh("attach-disk", NAME, device, "vdc", *words)


@pytest.mark.long
@needs_root
async def test_the_disk_is_offered_as_a_file_and_the_device_keeps_what_it_holds(
    lab: Laboratory, host: Host, target: Path, loop_device: str
) -> None:
    await attach(lab, loop_device)
    folder = await back_up(host, target)
    Path(loop_device).write_bytes(os.urandom(2 * MIB))
    holds, before = Path(loop_device).read_bytes(), await everything(lab, host)

    in_place = ("restore", str(folder), "--in-place")
    code, said = await qga_tui(lab, *in_place)
    assert (code, "block device cannot be moved aside" in said) == (EXIT_NOT_DONE, True), said
    assert await everything(lab, host) == before
    code, said = await qga_tui(lab, *in_place, "--dry-run", "--json")
    (failed,) = (finding for finding in json.loads(said)["findings"] if finding["verdict"] == "failed")
    (fix,) = failed["fixes"]
    assert failed["title"] == "Disk vdc"
    code, said = await qga_tui(lab, *in_place, *shlex.split(fix["option"]))
    assert (code, "its device as it was" in said) == (EXIT_DONE, True), said

    disk = next(disk for disk in (await facts_of(host, NAME)).disks if disk.target == "vdc")
    saved = next(disk for disk in read_saved(folder).disks if disk.target == "vdc")
    assert disk.source_type == "file"
    assert Path(disk.source).read_bytes() == (folder / saved.file).read_bytes()
    assert Path(loop_device).read_bytes() == holds
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    assert int((await lab.shell(NAME, "cat /sys/block/vdc/size")).output) * 512 == saved.virtual_bytes
    await lab.virsh("destroy", NAME)

    code, said = await qga_tui(lab, "restore", str(folder), "--undo")
    assert code == EXIT_DONE, said
    assert await everything(lab, host) == before
    assert Path(loop_device).read_bytes() == holds
    assert await find_leftovers(host) == ()
    await lab.virsh("detach-disk", NAME, "vdc", "--config")


@needs_root
async def test_the_disk_alone_becomes_a_file_in_the_definition_of_today_whoever_dies_of_it(
    lab: Laboratory, host: Host, target: Path, loop_device: str
) -> None:
    await attach(lab, loop_device)
    folder = await back_up(host, target)
    Path(loop_device).write_bytes(os.urandom(2 * MIB))
    holds, before = Path(loop_device).read_bytes(), await facts_of(host, NAME)
    (fix,) = await fixes_offered(host, folder, Wishes(RestoreWay.IN_PLACE, disks=("vdc",), accepted=(MOMENTS,)))
    run = launch((await proposed(host, folder, fix.wishes)).plan, held_worker.argv("defined"))
    await until(lambda: (run.folder / HELD).exists())
    pid = worker_pid(run)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not worker_alive(run))
    code, said = await rescue_by_hand(lab)
    assert code == EXIT_DONE, said
    disks = {disk.target: disk for disk in (await facts_of(host, NAME)).disks}
    assert (disks["vdc"].source_type, disks["vdc"].source) == ("file", run.plan.disks[0].to)
    assert {disks["vda"], disks["vdb"]} < set(before.disks)

    await lab.virsh("setmaxmem", NAME, "262144", "--config")
    code, said = await qga_tui(lab, "restore", str(folder), "--undo")
    assert (code, "has its former vdc again" in said) == (EXIT_DONE, True), said
    assert (await facts_of(host, NAME)).disks == before.disks
    assert "262144</memory>" in await lab.virsh("dumpxml", NAME, "--inactive")
    assert Path(loop_device).read_bytes() == holds
    assert await find_leftovers(host) == ()
    await lab.virsh("detach-disk", NAME, "vdc", "--config")
