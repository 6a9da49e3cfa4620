"""What can go wrong while a guest is backed up, made to happen; each ends with the guest whole and the copy judged."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, laboratory_of_one, log_of, needs_root
from tests.live.backup_process import connect
from tests.live.held_run import held_run, let_go, proposal_of
from tests.live.held_worker import GO
from tests.live.kill_matrix import LOGS, SPEC, Blow, copy_of, rescue_by_hand, run_cell, until, what_is_wrong, written
from tests.live.small_disk import small_disk
from tui.agent.commands import fsfreeze_freeze, fsfreeze_thaw
from tui.backup.checks import Verdict
from tui.backup.control import order
from tui.backup.follow import read_state
from tui.backup.launch import launch
from tui.backup.leftovers import Way
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.progress import Step
from tui.backup.runs import Run, cancel, worker_alive
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host, HostError
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB

Written = dict[str, list[int]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    """A laboratory of its own: its daemon is killed, too."""
    async with laboratory_of_one() as laboratory:
        yield laboratory


@pytest.fixture
def small_target(target: Path) -> Iterator[Path]:
    """A file system of its own, with room for the copy and no more."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", target], check=True)
    yield target
    unmount(target)


def mount(folder: Path, options: str) -> None:
    """Lay a small file system of its own over a folder, with what is in it."""
    inside = [(path.name, path.read_bytes()) for path in folder.iterdir()]
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    for name, content in inside:
        (folder / name).write_bytes(content)
        shutil.chown(folder / name, folder.stat().st_uid, folder.stat().st_gid)


def move_to_a_file_system_of_its_own(image: Path, folder: Path, options: str) -> None:
    owner = image.stat()
    mount(folder, f"{options},uid={owner.st_uid},gid={owner.st_gid},mode=700")
    leave_a_link(image, folder)


def leave_a_link(image: Path, folder: Path) -> None:
    """Move an image, holes kept, and leave a link where it was."""
    owner = image.stat()
    subprocess.run(["cp", "--sparse=always", image, folder], check=True)
    image.unlink()
    shutil.chown(folder / image.name, owner.st_uid, owner.st_gid)
    image.symlink_to(folder / image.name)


def unmount(folder: Path) -> None:
    if folder.is_mount():
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(1024 * 1024))
                file.flush()
        except OSError:
            return filler


def unlink_overlays(plan: BackupPlan) -> None:
    for disk in plan.disks:
        Path(disk.overlay).unlink()


def overlays_exist(plan: BackupPlan) -> bool:
    return all(Path(disk.overlay).exists() for disk in plan.disks)


@pytest.mark.parametrize(
    ("moment", "blow"),
    [
        ("frozen", Blow.WORKER),
        ("copy-mid", Blow.ALL),
        ("commit-begin", Blow.LIBVIRTD),
        pytest.param("pivoting", Blow.QEMU, marks=pytest.mark.long),
        pytest.param("pivot-asked", Blow.WORKER, marks=pytest.mark.long),
        pytest.param("reviving", Blow.WORKER, marks=pytest.mark.long),
    ],
)
async def test_whatever_dies_whenever_the_guest_comes_home(
    lab: Laboratory, target: Path, moment: str, blow: Blow
) -> None:
    cell = await run_cell(lab, target, moment, blow)
    assert cell.problems == ()
    assert cell.copy in ("good", "void")


@needs_root
async def test_a_full_target_is_waited_for(lab: Laboratory, host: Host, small_target: Path) -> None:
    run, plan, before = await held_run(lab, host, small_target, "copy-mid")
    filler = fill(small_target)
    (run.folder / GO).touch()
    await until(lambda: any(step.waiting for step in read_state(run).steps))
    assert read_state(run).exit_code is None
    filler.unlink()
    state = await let_go(run)
    assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(run)
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"


@pytest.mark.long
@needs_root
async def test_a_full_target_is_waited_for_by_a_converted_copy_too(
    lab: Laboratory, host: Host, small_target: Path
) -> None:
    run, plan, before = await held_run(lab, host, small_target, "snapshot-taken", compact=True)
    filler = fill(small_target)
    (run.folder / GO).touch()
    await until(lambda: read_state(run).ended or any(step.waiting for step in read_state(run).steps))
    assert read_state(run).exit_code is None, log_of(run)
    assert overlays_exist(plan)
    filler.unlink()
    state = await let_go(run)
    assert (state.exit_code, state.error, state.shortfalls) == (EXIT_DONE, None, ()), log_of(run)
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"


@needs_root
async def test_a_target_that_vanishes_ends_the_copy_and_not_the_guest(
    lab: Laboratory, host: Host, small_target: Path
) -> None:
    run, plan, before = await held_run(lab, host, small_target, "copy-mid")
    unmount(small_target)
    state = await let_go(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.void
    assert await what_is_wrong(lab, plan, before) == []


async def test_a_target_that_takes_nothing_is_refused_before_anything_happens(
    host: Host, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = await proposal_of(host, Path("/proc/self"))
    failed = {check.title for check in proposal.checks if check.verdict is Verdict.FAILED}
    assert "Target" in failed


async def test_an_overlay_deleted_by_hand_is_merged_while_the_guest_runs(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    unlink_overlays(plan)
    state = await let_go(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    assert await what_is_wrong(lab, plan, before) == []


async def test_an_overlay_deleted_under_a_dead_backup_is_told_as_urgent_and_saved(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    pid = int((run.folder / "worker.json").read_text().split('"pid": ')[1].split(",")[0])
    os.kill(pid, 9)
    await until(lambda: not worker_alive(run))
    unlink_overlays(plan)
    (found,) = await find_leftovers(host, (plan.uuid,))
    assert (found.way, str(found.urgency)) == (Way.MERGE, "now")
    assert "MERGE NOW" in found.title
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    assert await what_is_wrong(lab, plan, before) == []


async def test_a_definition_changed_meanwhile_is_mended_or_told(lab: Laboratory, host: Host, target: Path) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    xml = await host.stored_xml(plan.uuid, secrets=True)
    await host.define(xml.replace("<vcpu placement='static'>1", "<vcpu placement='static'>2"))
    state = await let_go(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    assert await what_is_wrong(lab, plan, before) == []
    await host.define((await host.stored_xml(plan.uuid, secrets=True)).replace(">2</vcpu>", ">1</vcpu>"))


async def test_a_disk_that_is_resized_meanwhile_keeps_its_size_and_is_told(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    await lab.virsh("blockresize", SPEC.name, "vdb", "52M")
    state = await let_go(run)
    assert (state.exit_code, state.error) == (EXIT_LESS, None), log_of(run)
    assert state.shortfalls == ("vdb was resized meanwhile: 48.0 MiB in this backup, 52.0 MiB in the guest",)
    assert (await host.block_sizes(plan.uuid, "vdb")).capacity == 52 * MIB
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"


@pytest.mark.long
async def test_a_guest_defined_back_onto_its_base_and_stopped_loses_no_overlay(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    good = await host.stored_xml(plan.uuid, secrets=True)
    wrong = good
    for disk in plan.disks:
        wrong = wrong.replace(disk.overlay, disk.base)
    wrong = wrong.replace(f"<driver name='qemu' type='qcow2'/>\n      <source file='{plan.disks[1].base}'",
                          f"<driver name='qemu' type='raw'/>\n      <source file='{plan.disks[1].base}'")  # fmt: skip
    wrong = _without_chains(wrong)
    await host.define(wrong)
    await lab.virsh("destroy", SPEC.name)
    state = await let_go(run)
    assert state.exit_code == EXIT_RESCUE, log_of(run)
    assert overlays_exist(plan)
    (found,) = await find_leftovers(host, (plan.uuid,))
    assert found.way is Way.EXPLAIN
    code, said = await rescue_by_hand(lab)
    assert code == EXIT_RESCUE, said
    assert overlays_exist(plan)
    await host.define(good)
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    await lab.start(SPEC.name)
    await lab.wait_for_agent(SPEC.name)
    assert await what_is_wrong(lab, plan, before) == []


def _without_chains(xml: str) -> str:
    return re.sub(r"<backingStore.*?</backingStore>\s*", "", xml, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("how", "moment"),
    [
        ("destroy", "copy-mid"),
        pytest.param("shutdown", "pivoting", marks=pytest.mark.long),
        pytest.param("reset", "pivoting", marks=pytest.mark.long),
        pytest.param("shutdown", "copy-mid", marks=pytest.mark.long),
        pytest.param("destroy", "pivoting", marks=pytest.mark.long),
        pytest.param("reset", "copy-mid", marks=pytest.mark.long),
    ],
)
async def test_a_guest_that_stops_or_reboots_meanwhile_comes_home(
    lab: Laboratory, host: Host, target: Path, moment: str, how: str
) -> None:
    run, plan, before = await held_run(lab, host, target, moment)
    if how == "shutdown":
        await lab.shell(SPEC.name, "(sleep 1; poweroff -f) >/dev/null 2>&1 &")
    else:
        await lab.virsh(how, SPEC.name)
    if how != "reset":
        await lab.wait_for_power(SPEC.name, "shut off")
    state = await let_go(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    if how != "reset":
        assert (await lab.virsh("domstate", SPEC.name)).strip() == "shut off"
        await lab.start(SPEC.name)
    await lab.wait_for_agent(SPEC.name)
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"


async def test_a_guest_frozen_by_somebody_else_is_left_alone(host: Host, target: Path) -> None:
    uuid = (await facts_of(host, SPEC.name)).uuid
    await fsfreeze_freeze(host.work_line(uuid), 10)
    try:
        proposal = await proposal_of(host, target)
        failed = {check.title for check in proposal.checks if check.verdict is Verdict.FAILED}
        assert failed == {"Guest agent"}
    finally:
        await fsfreeze_thaw(host.work_line(uuid), 10)


async def test_a_hung_agent_is_told_before_anything_happens(lab: Laboratory, host: Host, target: Path) -> None:
    await lab.shell(SPEC.name, "kill -STOP $(pidof qemu-ga)")
    try:
        proposal = await proposal_of(host, target)
        assert not proposal.may_begin
        wanted = await proposal_of(host, target, QuiescePolicy.PREFERRED)
        assert wanted.may_begin
    finally:
        await lab.shell(SPEC.name, "kill -CONT $(pidof qemu-ga)")
        await lab.wait_for_agent(SPEC.name)


async def test_an_agent_that_hangs_at_the_freeze_leaves_the_guest_as_it_was(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "freezing")
    await lab.shell(SPEC.name, "pid=$(pidof qemu-ga); kill -STOP $pid; (sleep 25; kill -CONT $pid) >/dev/null 2>&1 &")
    state = await let_go(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    await lab.wait_for_agent(SPEC.name)
    assert await what_is_wrong(lab, plan, before) == []


async def test_another_tools_block_job_keeps_the_backup_off(lab: Laboratory, host: Host, target: Path) -> None:
    copy = lab.folder / "g" / "blockcopy.raw"
    await lab.virsh("blockcopy", SPEC.name, "vdb", str(copy), "--transient-job", "--format", "raw")
    try:
        proposal = await proposal_of(host, target)
        failed = {check.title for check in proposal.checks if check.verdict is Verdict.FAILED}
        assert "Jobs" in failed
    finally:
        await lab.virsh("blockjob", SPEC.name, "vdb", "--abort")
        copy.unlink()


@pytest.mark.long
async def test_what_virsh_left_behind_is_found_explained_and_merged_once_confirmed(
    lab: Laboratory, host: Host, target: Path
) -> None:
    before = {log: await written(lab, log) for log in LOGS}
    await lab.virsh("snapshot-create-as", SPEC.name, "half", "--disk-only", "--atomic", "--no-metadata")
    (found,) = await find_leftovers(host)
    assert found.way is Way.MERGE_CONFIRMED
    code, said = await rescue_by_hand(lab)
    assert "vda" in said
    assert "--confirm" in said
    assert (await find_leftovers(host))[0].way is Way.MERGE_CONFIRMED
    code, said = await rescue_by_hand(lab, "--confirm", SPEC.name)
    assert code == 0, said
    assert await find_leftovers(host) == ()
    left = [path for path in (lab.folder / "g").iterdir() if path.suffix == ".half"]
    assert len(left) == len(SPEC.disks)
    for path in left:
        path.unlink()
    now = {log: await written(lab, log) for log in LOGS}
    assert all(now[log][: len(before[log])] == before[log] for log in LOGS)


async def test_snapshots_of_the_users_own_are_left_alone(lab: Laboratory, host: Host, target: Path) -> None:
    await lab.virsh("snapshot-create-as", SPEC.name, "mine", "--disk-only", "--atomic")
    try:
        assert await find_leftovers(host) == ()
        code, said = await rescue_by_hand(lab, "--confirm", SPEC.name)
        assert (code, said.strip()) == (0, "Nothing was left behind.")
        # The chain is as long after a backup as it was before.
        proposal = await proposal_of(host, target)
        assert proposal.may_begin, proposal.checks
        run = launch(proposal.plan, held_worker.argv("none"))
        state = await let_go(run)
        assert state.exit_code == EXIT_DONE, log_of(run)
        assert {disk.source for disk in (await facts_of(host, SPEC.name)).disks} == {
            disk.base for disk in proposal.plan.disks
        }
        assert (await copy_of(proposal.plan))[0] == "good"
    finally:
        await _flatten(lab)


async def _flatten(lab: Laboratory) -> None:
    for disk in ("vda", "vdb"):
        await lab.virsh("blockcommit", SPEC.name, disk, "--active", "--pivot", "--wait")
    await lab.virsh("snapshot-delete", SPEC.name, "mine", "--metadata")
    for path in (lab.folder / "g").iterdir():
        if path.suffix == ".mine":
            path.unlink()


@pytest.mark.long
async def test_a_guest_kept_busy_converges_or_is_paused_on_order(lab: Laboratory, host: Host, target: Path) -> None:
    busy = "while [ ! -e /run/calm ]; do dd if=/dev/zero of=/data/busy bs=64k count=64 conv=fsync; done"
    await lab.shell(SPEC.name, f"rm -f /run/calm; ({busy}) >/dev/null 2>&1 &")
    try:
        run, plan, before = await held_run(lab, host, target, "commit-mid")
        (run.folder / GO).touch()
        await until(lambda: read_state(run).ended or bool(_growing(run)))
        if not read_state(run).ended:
            await order(run, "settle")
            with suppress(HostError):  # the merge may have come to its end meanwhile
                await host.set_block_job_speed(plan.uuid, plan.disks[0].target, 0)
        state = await let_go(run)
        assert state.exit_code == EXIT_DONE, log_of(run)
        assert (await lab.virsh("domstate", SPEC.name)).strip() == "running"
        assert await what_is_wrong(lab, plan, before) == []
    finally:
        await lab.shell(SPEC.name, "touch /run/calm; rm -f /data/busy")


def _growing(run: Run) -> float:
    return next(step for step in read_state(run).steps if step.step is Step.COMMIT).growth


@needs_root
async def test_a_base_that_cannot_grow_is_waited_for_then_told_and_rescued(target: Path) -> None:
    async with Laboratory() as lab:
        elsewhere = lab.folder / "g" / "elsewhere"
        elsewhere.mkdir()
        await lab.add(replace(SPEC, start=False))
        base = lab.disk(SPEC.name, "vdb")
        move_to_a_file_system_of_its_own(base, elsewhere, "size=96m")
        try:
            await lab.start(SPEC.name)
            await lab.wait_for_agent(SPEC.name)
            await _with_a_full_base(lab, elsewhere, target)
        finally:
            await lab.virsh("destroy", SPEC.name)
            unmount(elsewhere)


async def _with_a_full_base(lab: Laboratory, elsewhere: Path, target: Path) -> None:
    host = connect(lab.uri)
    await host.open()
    run, plan, before = await held_run(lab, host, target, "copied")
    await lab.shell(SPEC.name, "dd if=/dev/urandom of=/data/grown bs=1M count=16; sync")
    filler = fill(elsewhere)
    (run.folder / GO).touch()
    await until(lambda: any("no room to grow" in step.waiting for step in read_state(run).steps))
    assert (await lab.virsh("domstate", SPEC.name)).strip() == "running"
    assert cancel(run, signal.SIGKILL)
    await until(lambda: not worker_alive(run))
    code, said = await rescue_by_hand(lab)
    assert code == EXIT_RESCUE
    assert "no room to grow" in said
    filler.unlink()
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"
    await host.close()


@needs_root
async def test_a_base_that_is_denied_says_who_denies_it_and_is_rescued_once_allowed(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copied")
    base = Path(plan.disks[1].base)
    owner = base.stat()
    shutil.chown(base, 0, 0)
    base.chmod(0o600)
    state = await let_go(run)
    shutil.chown(base, owner.st_uid, owner.st_gid)
    assert state.exit_code == EXIT_RESCUE, log_of(run)
    assert state.error is not None
    assert str(base) in state.error.next_step
    assert "AppArmor" in state.error.next_step
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    assert await what_is_wrong(lab, plan, before) == []


@needs_root
@pytest.mark.parametrize("bases", [pytest.param("beside the overlays", marks=pytest.mark.long), "elsewhere"])
async def test_no_room_for_the_guests_writes_gives_the_copy_up_and_loses_no_write(target: Path, bases: str) -> None:
    async with Laboratory() as lab:
        images = lab.folder / "g"
        with small_disk(images, 300):
            await lab.add(replace(SPEC, start=False))
            if bases == "elsewhere":
                for disk in ("vda", "vdb"):
                    leave_a_link(lab.disk(SPEC.name, disk), lab.folder / "h")
            await lab.start(SPEC.name)
            await lab.wait_for_agent(SPEC.name)
            try:
                await _without_room(lab, images, target, bases_have_room=bases == "elsewhere")
            finally:
                await lab.virsh("destroy", SPEC.name)


async def _without_room(lab: Laboratory, images: Path, target: Path, *, bases_have_room: bool) -> None:
    host = connect(lab.uri)
    await host.open()
    run, plan, before = await held_run(lab, host, target, "copy-mid", overlays=images)
    filler = fill(images)
    await lab.shell(SPEC.name, "dd if=/dev/urandom of=/data/grows bs=1M count=8 conv=fsync >/dev/null 2>&1 &")
    if bases_have_room:
        # The copy is given up as soon as its overlays are full: the guest may never have to stop.
        await until(lambda: read_state(run).void)
    else:
        await lab.wait_for_power(SPEC.name, "paused")
    (run.folder / GO).touch()
    await until(lambda: read_state(run).ended or any("no room to grow" in s.waiting for s in read_state(run).steps))
    assert read_state(run).ended or not bases_have_room
    filler.unlink()
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.void
    assert (await lab.virsh("domstate", SPEC.name)).strip() == "running"
    assert await what_is_wrong(lab, plan, before) == []
    await host.close()
