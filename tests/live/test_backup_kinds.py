"""Backups of every kind of disk and guest that is taken: each comes back to what it was, and its copy is proven."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, laboratory_of_one, log_of, needs_root
from tests.live.kill_matrix import LONG_S, SPEC, copy_of, until
from tests.live.restoring import restored
from tests.live.uefi import set_variable, variables
from tui.backup.folder import result_folder
from tui.backup.images import run_program
from tui.backup.launch import launch
from tui.backup.nvram import nvram_path
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.propose import propose
from tui.backup.restore.wishes import Wishes
from tui.backup.runstate import EXIT_DONE, RunState
from tui.backup.scan import find_leftovers
from tui.backup.source import SourceWish
from tui.hosts.port import Host
from tui.lab.domain import OVMF_VARS
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, GuestSpec


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


async def backed_up(
    host: Host,
    target: Path,
    disks: tuple[str, ...] | None = None,
    *,
    policy: QuiescePolicy = QuiescePolicy.REQUIRED,
    compact: bool = False,
    name: str = SPEC.name,
) -> tuple[BackupPlan, RunState]:
    """A backup that was done as asked, with nothing left behind and every disk named as it was."""
    before = {disk.target: (disk.source_type, disk.source) for disk in (await facts_of(host, name)).disks}
    proposal = await propose(host, await facts_of(host, name), target, disks, quiesce=policy, compact=compact)
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, held_worker.argv("none"))
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_DONE, ()), log_of(run)
    assert {disk.target: (disk.source_type, disk.source) for disk in (await facts_of(host, name)).disks} == before
    assert await find_leftovers(host) == ()
    assert await copy_of(proposal.plan) == ("good", [])
    return proposal.plan, state


async def test_a_guest_that_is_off_is_copied_as_it_is(lab: Laboratory, host: Host, target: Path) -> None:
    await lab.virsh("destroy", SPEC.name)
    try:
        _, state = await backed_up(host, target)
        assert state.consistency == "offline"
    finally:
        await lab.start(SPEC.name)
        await lab.wait_for_agent(SPEC.name)


@pytest.mark.long
async def test_a_linked_clone_that_is_off_is_copied_with_what_it_lies_on(
    lab: Laboratory, host: Host, target: Path
) -> None:
    await lab.shell(SPEC.name, "echo below >/below; sync")
    await lab.virsh("destroy", SPEC.name)
    cloud = lab.disk(SPEC.name, "vda")
    top = cloud.with_name("linked.qcow2")
    kept = await lab.virsh("dumpxml", SPEC.name, "--inactive", "--security-info")
    made = await run_program("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", cloud.name, str(top))
    assert made[0] == 0, made
    shutil.chown(top, cloud.stat().st_uid, cloud.stat().st_gid)
    second = f"{SPEC.name}-linked"
    try:
        await host.define(kept.replace(str(cloud), str(top)))
        await lab.start(SPEC.name)
        await lab.wait_for_agent(SPEC.name)
        await lab.shell(SPEC.name, "echo above >/above; sync")
        await lab.virsh("destroy", SPEC.name)
        streamed = await propose(host, await facts_of(host, SPEC.name), target, source=SourceWish.STREAM)
        assert streamed.may_begin, streamed.checks
        assert streamed.plan.disks[0].below == (str(cloud),)
        plan, state = await backed_up(host, target)
        assert (plan.disks[0].base, plan.disks[0].below) == (str(top), (str(cloud),))
        await restored(host, state.result, Wishes(name=second))
        await lab.virsh("start", second)
        await lab.wait_for_agent(second)
        assert (await lab.shell(second, "cat /below /above")).output.split() == ["below", "above"]
        clone = {disk.target: disk for disk in (await facts_of(host, second)).disks}
        assert clone["vda"].backing == ()
    finally:
        await remove(lab, second)
        await host.define(kept)
        top.unlink()
        await lab.start(SPEC.name)
        await lab.wait_for_agent(SPEC.name)


async def test_a_paused_guest_stays_paused(lab: Laboratory, host: Host, target: Path) -> None:
    await lab.virsh("suspend", SPEC.name)
    try:
        _, state = await backed_up(host, target, policy=QuiescePolicy.OFF)
        assert state.consistency == "paused"
        assert (await lab.virsh("domstate", SPEC.name)).strip() == "paused"
    finally:
        await lab.virsh("resume", SPEC.name)


async def test_a_transient_guest_is_backed_up_while_it_runs(lab: Laboratory, host: Host, target: Path) -> None:
    xml = lab.folder / "kept.xml"
    xml.write_text(await lab.virsh("dumpxml", SPEC.name, "--inactive"))
    await lab.virsh("undefine", SPEC.name)
    try:
        assert not (await facts_of(host, SPEC.name)).persistent
        await backed_up(host, target)
    finally:
        await lab.virsh("define", str(xml))


async def test_a_compact_copy_holds_the_same_in_less(host: Host, target: Path) -> None:
    plan, state = await backed_up(host, target, ("vda", "vdb"), compact=True)
    disks = {disk["target"]: disk for disk in json.loads((state.result / "manifest.json").read_text())["disks"]}
    assert disks["vdb"]["format"] == "qcow2"
    assert disks["vdb"]["original_format"] == "raw"
    copied = sum((state.result / str(disk["file"])).stat().st_size for disk in disks.values())
    assert copied < sum(int(str(disk["data_bytes"])) for disk in disks.values())
    assert "qemu-img convert" in (state.result / "RESTORE.md").read_text()
    assert plan.compact


ALTERNATING = ("/both.log", "/data/both.log")
"""Written in turn: at any one moment the last numbers are the same, or the first file is one ahead."""


@pytest_asyncio.fixture(loop_scope="session")
async def alternating(lab: Laboratory) -> AsyncIterator[None]:
    """The guest writes numbered, timestamped lines to both disks in turn, each on its disk before the next."""
    first, second = ALTERNATING
    line = 'echo "$n $EPOCHREALTIME"'
    turn = f"n=$((n + 1)); {line} >>{first}; sync {first}; {line} >>{second}; sync {second}"
    await lab.shell(SPEC.name, f"(n=0; while [ ! -e /run/calm ]; do {turn}; done) >/dev/null 2>&1 &")
    yield
    await lab.shell(SPEC.name, f"touch /run/calm; sleep 0.5; rm -f /run/calm {first} {second}")


async def lines_of(lab: Laboratory, name: str, log: str) -> list[str]:
    return (await lab.shell(name, f"cat {log}")).output.splitlines()


async def test_the_copy_is_exact_and_ends_on_both_disks_at_one_moment(
    lab: Laboratory, host: Host, target: Path, alternating: None, tmp_path: Path
) -> None:
    before = [await lines_of(lab, SPEC.name, log) for log in ALTERNATING]
    plan = (await propose(host, await facts_of(host, SPEC.name), target, quiesce=QuiescePolicy.REQUIRED)).plan
    run = launch(plan, held_worker.argv("copied"))
    await until((run.folder / held_worker.HELD).exists)
    for disk in plan.disks:
        copy = result_folder(plan).disks / plan.copy_name(disk)
        formats = ("-f", disk.format, "-F", disk.format)
        code, said, _ = await run_program("qemu-img", "compare", *formats, disk.base, str(copy))
        assert (code, said) == (0, "Images are identical.\n")
        raw = tmp_path / f"{disk.target}.raw"
        await run_program("qemu-img", "convert", "-f", disk.format, "-O", "raw", str(copy), str(raw))
        code, said, _ = await run_program("e2fsck", "-fn", str(raw))
        assert code == 0, said
    (run.folder / held_worker.GO).touch()
    state = await end_of(run)
    assert state.exit_code == EXIT_DONE
    second = f"{SPEC.name}-restored"
    try:
        await start_second(lab, state.result, second)
        held = [await lines_of(lab, second, log) for log in ALTERNATING]
    finally:
        await remove(lab, second)
    now = [await lines_of(lab, SPEC.name, log) for log in ALTERNATING]
    for kept, earlier, later in zip(held, before, now, strict=True):
        assert [int(line.split()[0]) for line in kept] == list(range(1, len(kept) + 1))
        assert len(earlier) <= len(kept) < len(later)
        assert kept == later[: len(kept)]
    assert len(held[0]) - len(held[1]) in (0, 1)


@pytest.mark.long
async def test_uefi_variables_are_kept_and_the_copy_starts_with_its_own(
    lab: Laboratory, host: Host, target: Path
) -> None:
    await lab.add(GuestSpec("uefi1", memory_mib=192, uefi=True))
    await lab.wait_for_agent("uefi1")
    try:
        await set_variable(lab, "uefi1", "Before")
        _, state = await backed_up(host, target, name="uefi1")
        await set_variable(lab, "uefi1", "After")
        sums = (state.result / "SHA256SUMS").read_text()
        kept = state.result / "nvram/vars.fd"
        assert f"{hashlib.sha256(kept.read_bytes()).hexdigest()}  nvram/vars.fd" in sums.splitlines()
        assert kept.read_bytes() not in (OVMF_VARS.read_bytes(), lab.nvram("uefi1").read_bytes())
        await start_second(lab, state.result, "uefi1-restored")
        assert await variables(lab, "uefi1-restored") == {"Before"}
        await set_variable(lab, "uefi1-restored", "Second")
        assert await variables(lab, "uefi1") == {"Before", "After"}
        second = lab.nvram("uefi1").parent / "uefi1-restored" / "vars.fd"
        assert await nvram_of(host, "uefi1-restored") == str(second)
        assert second.read_bytes() != kept.read_bytes()
    finally:
        await remove(lab, "uefi1", "uefi1-restored")


async def nvram_of(host: Host, name: str) -> str:
    return nvram_path(await host.live_xml((await facts_of(host, name)).uuid))


async def start_second(lab: Laboratory, result: Path, name: str) -> None:
    """Check the backup and start it beside the first guest, by the commands of its notes."""
    notes = (result / "RESTORE.md").read_text()
    for block in re.findall(r"^```sh\n(.*?)^```$", notes, re.DOTALL | re.MULTILINE)[:2]:
        done = await asyncio.to_thread(subprocess.run, ["bash", "-e", "-c", block], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    await lab.wait_for_agent(name)


async def remove(lab: Laboratory, *names: str) -> None:
    there = (await lab.virsh("list", "--all", "--name")).split()
    for name in set(names) & set(there):
        await lab.virsh("destroy", name)
        await lab.virsh("undefine", name, "--keep-nvram")
        shutil.rmtree(lab.folder / "g" / name, ignore_errors=True)


@needs_root
async def test_a_block_device_is_copied_and_stays_a_device(
    lab: Laboratory, host: Host, target: Path, loop_device: str
) -> None:
    words = ("--sourcetype", "block", "--driver", "qemu", "--subdriver", "raw", "--live", "--config")
    await lab.virsh("attach-disk", SPEC.name, loop_device, "vdc", *words)
    try:
        plan, state = await backed_up(host, target, ("vda", "vdc"))
        assert Path(plan.disks[1].overlay).parent == Path(plan.disks[0].base).parent
        assert (state.result / "disks/vdc.raw").read_bytes() == Path(loop_device).read_bytes()
    finally:
        await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", "--config")
        await _until_detached(host)


@pytest.fixture
def reflinking(lab: Laboratory) -> Iterator[Path]:
    """A folder that the guests may write to, on a file system of its own that shares extents."""
    image, folder = lab.folder / "reflink.img", lab.folder / "g" / "reflink"
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    if (maker := shutil.which("mkfs.xfs") or shutil.which("mkfs.btrfs")) is None:
        pytest.skip("neither xfsprogs nor btrfs-progs is installed")
    subprocess.run([maker, "-q", image], check=True)
    folder.mkdir()
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, check=False, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no loop mount here: {mounted.stderr}")
    shutil.chown(folder, (lab.folder / "g").stat().st_uid, (lab.folder / "g").stat().st_gid)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    image.unlink()


@pytest.mark.long
@needs_root
async def test_a_copy_beside_the_image_shares_its_extents_and_has_its_sum(
    lab: Laboratory, host: Host, target: Path, reflinking: Path
) -> None:
    image, kept = reflinking / "extra.raw", reflinking / "backups"
    image.write_bytes(os.urandom(48 * MIB))
    shutil.chown(image, reflinking.stat().st_uid, reflinking.stat().st_gid)
    kept.mkdir()
    words = ("--driver", "qemu", "--subdriver", "raw", "--targetbus", "virtio", "--live", "--config")
    await lab.virsh("attach-disk", SPEC.name, str(image), "vdc", *words)
    try:
        _, state = await backed_up(host, kept, ("vdc",))
    finally:
        await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", "--config")
        await _until_detached(host)
    copy = state.result / "disks/vdc.raw"
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    assert f"{digest}  disks/vdc.raw" in (state.result / "SHA256SUMS").read_text().splitlines()
    _, extents, _ = await run_program("filefrag", "-v", str(copy))
    assert "shared" in extents


async def _until_detached(host: Host) -> None:
    async with asyncio.timeout(LONG_S):
        # The guest gives the disk back in its own time, and no event of the port tells of it.
        while any(disk.target == "vdc" for disk in (await facts_of(host, SPEC.name)).disks):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_volume_of_a_pool_is_a_volume_again(lab: Laboratory, host: Host, target: Path) -> None:
    folder = lab.folder / "g" / "pool"
    folder.mkdir()
    shutil.chown(folder, (lab.folder / "g").stat().st_uid, (lab.folder / "g").stat().st_gid)
    await lab.virsh("pool-create-as", "kinds", "dir", "--target", str(folder))
    await lab.virsh("vol-create-as", "kinds", "extra.qcow2", "16M", "--format", "qcow2")
    device = lab.folder / "volume.xml"
    device.write_text(
        "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source pool='kinds' volume='extra.qcow2'/><target dev='vdc' bus='virtio'/></disk>"
    )
    await lab.virsh("attach-device", SPEC.name, str(device), "--live", "--config")
    try:
        plan, _ = await backed_up(host, target, ("vdc",))
        assert plan.disks[0].base == str(folder / "extra.qcow2")
    finally:
        await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", "--config")
        await _until_detached(host)
        await lab.virsh("pool-destroy", "kinds")
