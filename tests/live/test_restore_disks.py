"""Disks restored alone: several in one call, into a folder or a guest that runs, and workers that die of it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import facts_of
from tests.live.restore_matrix import BOTH, OFF_SPEC, READER_SPEC, everything, run_cell
from tests.live.restoring import qga_tui
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.saved import read_saved
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory

READER = READER_SPEC.name
TWO = ("--disk", "vda", "--disk", "vdb")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    """A laboratory with a guest that is off and one that runs."""
    async with Laboratory() as laboratory:
        for spec in (OFF_SPEC, READER_SPEC):
            await laboratory.add(spec)
        await laboratory.wait_for_agent(READER)
        yield laboratory


async def test_several_disks_go_to_a_folder_in_one_call(
    lab: Laboratory, host: Host, whole: Path, tmp_path: Path
) -> None:
    before = await everything(lab, host)
    code, said = await qga_tui(lab, "restore", str(whole), *TWO, "--to", f"{tmp_path}/new/")
    assert (code, "There is no folder" in said) == (EXIT_NOT_DONE, True), said
    assert list(tmp_path.iterdir()) == []
    code, said = await qga_tui(lab, "restore", str(whole), *TWO, "--to", str(tmp_path))
    assert code == EXIT_DONE, said
    saved = read_saved(whole)
    kept = {disk.target: (whole / disk.file).read_bytes() for disk in saved.disks}
    made = {path.name.split("-")[-2]: path for path in tmp_path.iterdir()}
    assert {target: path.read_bytes() for target, path in made.items()} == kept
    assert {path.stat().st_mode & 0o777 for path in made.values()} == {0o600}
    assert await everything(lab, host) == before


async def test_several_disks_are_read_in_another_guest_and_taken_away_by_one_order(
    lab: Laboratory, host: Host, whole: Path
) -> None:
    before = await everything(lab, host)
    had = {disk.target for disk in (await facts_of(host, READER)).disks}
    code, said = await qga_tui(lab, "restore", str(whole), *TWO, "--attach", READER)
    assert code == EXIT_DONE, said
    given = {disk.target: disk for disk in (await facts_of(host, READER)).disks if disk.target not in had}
    assert len(given) == len(BOTH)
    assert all(disk.readonly for disk in given.values())
    saved = read_saved(whole)
    for target, disk in zip(given, saved.disks, strict=True):
        assert f"{disk.target} of {saved.guest} as {target}" in said
        # A guest names disks as it finds them: their serial numbers say which is which.
        found = await lab.shell(
            READER,
            f"for i in 1 2 3 4 5 6 7 8 9; do at=$(grep -l ^{disk.target}-restore- /sys/block/vd*/serial) && break; "
            "sleep 1; done; at=$(dirname $at); cat $at/size; dd if=/dev/zero of=/dev/${at##*/} bs=512 count=1 2>&1",
        )
        assert int(found.output.split()[0]) * 512 == disk.virtual_bytes
        assert re.search("[Rr]ead-only|not permitted", found.output)
    code, said = await qga_tui(lab, "restore", str(whole), *TWO, "--attach", READER)
    assert (code, "has room for 1 more" in said) == (EXIT_NOT_DONE, True), said
    code, said = await qga_tui(lab, "restore", str(whole), "--undo")
    assert code == EXIT_DONE, said
    assert await everything(lab, host) == before


@pytest.mark.parametrize(
    ("way", "moment"),
    [
        pytest.param(RestoreWay.DISK, "copy-mid", marks=pytest.mark.long),
        (RestoreWay.DISK, "rename-1"),
        pytest.param(RestoreWay.DISK, "done", marks=pytest.mark.long),
        pytest.param(RestoreWay.ATTACH, "moving", marks=pytest.mark.long),
        pytest.param(RestoreWay.ATTACH, "rename-1", marks=pytest.mark.long),
        (RestoreWay.ATTACH, "attach-1"),
        pytest.param(RestoreWay.ATTACH, "done", marks=pytest.mark.long),
    ],
)
async def test_a_worker_that_is_killed_leaves_the_old_state_or_the_new_one(
    lab: Laboratory, host: Host, whole: Path, way: RestoreWay, moment: str
) -> None:
    assert (await run_cell(lab, host, whole, way, moment)).problems == ()
