"""A guest with a disk on a block device, restored in place: the disk becomes a file, and the device is not touched."""

import json
import os
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.live.backup_fixtures import needs_root
from tests.live.restore_matrix import OFF_SPEC, everything
from tests.live.restoring import NAME, back_up, facts_of, qga_tui
from tui.backup.restore.saved import read_saved
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


@needs_root
async def test_the_disk_is_offered_as_a_file_and_the_device_keeps_what_it_holds(
    lab: Laboratory, host: Host, target: Path, loop_device: str
) -> None:
    words = ("--sourcetype", "block", "--driver", "qemu", "--subdriver", "raw", "--targetbus", "virtio", "--config")
    await lab.virsh("attach-disk", NAME, loop_device, "vdc", *words)
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
