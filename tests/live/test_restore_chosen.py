"""Chosen disks of a guest with two: put back in place beside the other, cloned alone, and killed at it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import facts_of
from tests.live.restore_matrix import OFF_SPEC, everything, run_cell, sum_of
from tests.live.restoring import LOGS, NAME, fixes_offered, is_unbroken, qga_tui, written
from tui.backup.chain import disks_by_target
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.wishes import MOMENTS, Wishes
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory

ALONE = ("--in-place", "--disk", "vdb")
AGREED = ("--accept", MOMENTS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with Laboratory() as laboratory:
        await laboratory.add(OFF_SPEC)
        yield laboratory


@pytest.mark.long
async def test_one_disk_comes_back_in_place_and_the_other_is_not_touched(
    lab: Laboratory, host: Host, whole: Path
) -> None:
    restore = ("restore", str(whole), *ALONE)
    vda, vdb = (lab.disk(NAME, target) for target in ("vda", "vdb"))
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    await lab.shell(NAME, "touch /since /data/since; sync")
    (fix,) = (
        fix
        for fix in await fixes_offered(host, whole, Wishes(RestoreWay.IN_PLACE, disks=("vdb",), accepted=(MOMENTS,)))
        if fix.option == "--stop force"
    )
    assert fix.wishes.disks == ("vdb",)
    await lab.virsh("destroy", NAME)
    # What was changed in the definition since the backup is to be there afterwards.
    await lab.virsh("setmaxmem", NAME, "262144", "--config")
    kept, ours, before = (vda.stat().st_ino, sum_of(vda)), (vdb.stat().st_ino, sum_of(vdb)), await everything(lab, host)

    code, said = await qga_tui(lab, *restore)
    assert (code, "Different moments: vdb of" in said, "vda as now" in said) == (EXIT_NOT_DONE, True, True), said
    code, said = await qga_tui(lab, *restore, *AGREED, "--dry-run", "--json")
    told = json.loads(said)
    assert [file["name"] for file in told["plan"]["files"]] == ["vdb"]
    assert (code, told["may_begin"], told["changes"]) == (EXIT_DONE, True, [])
    assert await everything(lab, host) == before

    code, said = await qga_tui(lab, *restore, *AGREED)
    assert (code, "the rest as it is now" in said) == (EXIT_DONE, True), said
    assert (vda.stat().st_ino, sum_of(vda)) == kept
    assert sum_of(vdb) == sum_of(whole / "disks/vdb.raw")
    domains, _ = before
    assert (await everything(lab, host))[0] == domains
    await lab.start(NAME)
    await lab.wait_for_agent(NAME)
    found = await lab.shell(NAME, "ls -d /since /data/since 2>/dev/null")
    assert found.output.split() == ["/since"]
    for log in LOGS:
        assert is_unbroken(await written(lab, NAME, log))
    await lab.virsh("destroy", NAME)

    kept = (vda.stat().st_ino, sum_of(vda))
    code, said = await qga_tui(lab, "restore", str(whole), "--undo")
    assert code == EXIT_DONE, said
    assert (vdb.stat().st_ino, sum_of(vdb)) == ours
    assert (vda.stat().st_ino, sum_of(vda)) == kept
    assert (await everything(lab, host))[0] == domains
    assert await find_leftovers(host) == ()


async def test_a_disk_that_is_elsewhere_and_of_another_format_by_now_is_replaced_there(
    lab: Laboratory, host: Host, whole: Path
) -> None:
    vdb, moved = lab.disk(NAME, "vdb"), lab.disk(NAME, "vdb").with_name("moved.qcow2")
    moved.write_bytes(lab.disk(NAME, "vda").read_bytes())
    moved.chmod(0o666)
    xml = lab.folder / "edited.xml"
    stored = await lab.virsh("dumpxml", NAME, "--inactive")
    head, _, tail = stored.rpartition("type='raw'")
    xml.write_text(f"{head}type='qcow2'{tail}".replace(str(vdb), str(moved)))
    xml.chmod(0o644)
    await lab.virsh("define", str(xml))
    before = await everything(lab, host)
    code, said = await qga_tui(lab, "restore", str(whole), *ALONE, *AGREED)
    assert (code, f"is {moved} (qcow2) by now" in said) == (EXIT_DONE, True), said
    disk = disks_by_target(await host.stored_xml((await facts_of(host, NAME)).uuid))["vdb"]
    assert (disk.source, disk.format) == (str(moved), "qcow2")
    assert moved.read_bytes()[:4] == b"QFI\xfb"
    code, said = await qga_tui(lab, "restore", str(whole), "--undo")
    assert code == EXIT_DONE, said
    assert await everything(lab, host) == before
    moved.unlink()
    xml.write_text(stored)
    await lab.virsh("define", str(xml))


async def test_a_clone_of_one_disk_boots_without_the_other(lab: Laboratory, host: Host, whole: Path) -> None:
    code, said = await qga_tui(lab, "restore", str(whole), "--as", "half", "--disk", "vdb", "--dry-run")
    assert (code, "without vda, from which the guest boots" in said) == (EXIT_DONE, True), said
    code, said = await qga_tui(lab, "restore", str(whole), "--as", "half", "--disk", "vda")
    assert (code, "half is defined and off, without vdb" in said) == (EXIT_DONE, True), said
    try:
        (disk,) = (await facts_of(host, "half")).disks
        assert [path.name for path in Path(disk.source).parent.iterdir()] == ["vda.qcow2"]
        await lab.virsh("start", "half")
        await lab.wait_for_agent("half")
        found = await lab.shell("half", "ls /sys/block")
        assert [name for name in found.output.split() if name.startswith("vd")] == ["vda"]
    finally:
        await lab.virsh("destroy", "half")
        await lab.virsh("undefine", "half")


@pytest.mark.parametrize(
    "moment",
    [pytest.param("copied", marks=pytest.mark.long), "rename-1", pytest.param("defining", marks=pytest.mark.long)],
)
async def test_a_worker_that_is_killed_leaves_the_old_state_or_the_new_one(
    lab: Laboratory, host: Host, whole: Path, moment: str
) -> None:
    assert (await run_cell(lab, host, whole, RestoreWay.IN_PLACE, moment, ("vdb",))).problems == ()
