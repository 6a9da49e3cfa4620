"""Rescues that need more than a merge in QEMU: guests that cannot start, deleted images, transient guests, strays."""

import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import facts_of, laboratory_of_one, log_of, needs_root
from tests.live.backup_process import connect
from tests.live.held_worker import HELD
from tests.live.kill_matrix import LOGS, SPEC, images_unsound, rescue_by_hand, until, what_is_wrong, written
from tui.backup import merge_off
from tui.backup.errors import NeedsRescueError
from tui.backup.images import run_program
from tui.backup.launch import launch
from tui.backup.leftovers import GuestEvidence, Leftover, Way
from tui.backup.plan import BackupPlan, PlannedDisk, QuiescePolicy, overlay_beside
from tui.backup.propose import propose
from tui.backup.rescue import RESCUE_PATIENCE, rescue
from tui.backup.runs import cancel, worker_alive
from tui.backup.runstate import EXIT_RESCUE
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory

Written = dict[str, list[int]]
HASTE = replace(RESCUE_PATIENCE, restart_s=-1)
"""A guest that is off is not waited for."""
GONE_ISO = """<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{path}'/>
<target dev='sdz' bus='sata'/><readonly/></disk></devices>"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


class DiedError(BaseException):
    """Stands for the end of the process that rescues."""


async def left_behind(lab: Laboratory, host: Host, target: Path) -> tuple[BackupPlan, Written]:
    """A guest on its overlays, with some writes there, whose backup was killed; and what it had written."""
    proposal = await propose(host, await facts_of(host, SPEC.name), target, quiesce=QuiescePolicy.REQUIRED)
    run = launch(proposal.plan, held_worker.argv("copy-mid"))
    await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
    assert cancel(run, signal.SIGKILL), log_of(run)
    await until(lambda: not worker_alive(run))
    await lab.shell(SPEC.name, "sync")
    return proposal.plan, {log: await written(lab, log) for log in LOGS}


async def with_an_iso_that_is_gone(lab: Laboratory, host: Host, plan: BackupPlan) -> None:
    xml = await host.stored_xml(plan.uuid, secrets=True)
    await host.define(xml.replace("</devices>", GONE_ISO.format(path=lab.folder / "gone.iso")))


async def without_the_iso(host: Host, plan: BackupPlan) -> None:
    xml = await host.stored_xml(plan.uuid, secrets=True)
    await host.define(re.sub(r"<disk type='file' device='cdrom'>.*?</disk>", "", xml, flags=re.DOTALL))


async def rescue_here(lab: Laboratory, leftover: Leftover) -> None:
    session = HostSession(connect, lab.uri, HASTE)
    try:
        await rescue(session, leftover, lambda *words: None, patience=HASTE)
    finally:
        await session.close()


async def home_again(lab: Laboratory, plan: BackupPlan, before: Written) -> None:
    """Off, sound, and with all it had written once it runs again."""
    assert (await lab.virsh("domstate", SPEC.name)).strip() == "shut off"
    assert await images_unsound(plan) == []
    await lab.start(SPEC.name)
    await lab.wait_for_agent(SPEC.name)
    assert await what_is_wrong(lab, plan, before) == []


def dying_after(monkeypatch: pytest.MonkeyPatch, name: str, calls: int) -> None:
    original, left = getattr(merge_off, name), iter(range(1, 10**9))

    async def dies(*words: Any) -> Any:
        done = await original(*words)
        if next(left) == calls:
            raise DiedError
        return done

    monkeypatch.setattr(merge_off, name, dies)


@pytest.mark.long
async def test_a_guest_that_is_off_and_cannot_start_is_merged_wherever_the_rescue_dies_before(
    lab: Laboratory, host: Host, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, before = await left_behind(lab, host, target)
    await lab.virsh("destroy", SPEC.name)
    await with_an_iso_that_is_gone(lab, host, plan)
    (found,) = await find_leftovers(host, (plan.uuid,))
    assert found.way is Way.MERGE
    assert "qemu-img commit" in " ".join(found.commands)
    await _started_while_it_is_merged(lab, host, plan, found, monkeypatch)
    # After the first merge of the first disk, once its overlay is emptied, and before the tidying.
    for name, calls in (("_commit", 1), ("_commit", 2), ("_define", 1)):
        with monkeypatch.context() as patched:
            dying_after(patched, name, calls)
            with pytest.raises(DiedError):
                await rescue_here(lab, found)
        assert all(Path(disk.overlay).exists() for disk in plan.disks)
        (found,) = await find_leftovers(host, (plan.uuid,))
    assert found.way is Way.TIDY
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    await without_the_iso(host, plan)
    await home_again(lab, plan, before)


@needs_root
async def test_a_merge_that_qemu_is_denied_is_done_while_the_guest_is_off(
    lab: Laboratory, host: Host, target: Path
) -> None:
    plan, before = await left_behind(lab, host, target)
    await lab.virsh("destroy", SPEC.name)
    base = Path(plan.disks[1].base)
    owner = base.stat()
    # QEMU may read it, so that the guest can start, and not write to it: as under AppArmor before libvirt 12.1.
    shutil.chown(base, 0, 0)
    base.chmod(0o644)
    try:
        code, said = await rescue_by_hand(lab)
    finally:
        shutil.chown(base, owner.st_uid, owner.st_gid)
    assert code == 0, said
    assert "merged while it was off" in said
    await home_again(lab, plan, before)


async def _started_while_it_is_merged(
    lab: Laboratory, host: Host, plan: BackupPlan, found: Leftover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A QEMU that has the overlay open by now keeps it from being emptied, though its base holds all of it."""
    check = merge_off._check

    async def started_meanwhile(disk: PlannedDisk) -> str:
        said = await check(disk)
        await without_the_iso(host, plan)
        await lab.virsh("start", SPEC.name, "--paused")
        return said

    with monkeypatch.context() as patched:
        patched.setattr(merge_off, "_refuse_unless_off", _never)
        patched.setattr(merge_off, "_check", started_meanwhile)
        with pytest.raises(NeedsRescueError, match="could not be brought back") as refused:
            await rescue_here(lab, found)
    assert "qemu-img could not merge" in refused.value.cause
    assert "lock" in refused.value.original
    assert {disk.source for disk in (await facts_of(host, SPEC.name)).disks} >= {disk.overlay for disk in plan.disks}
    await lab.virsh("destroy", SPEC.name)
    await with_an_iso_that_is_gone(lab, host, plan)


async def _never(*words: object) -> None:
    """The state of the guest is not looked at: the locks alone have to do."""


@pytest.mark.long
async def test_an_image_of_another_tools_that_is_deleted_is_urgent_and_saved_once_confirmed(
    lab: Laboratory, host: Host, target: Path
) -> None:
    before = {log: await written(lab, log) for log in LOGS}
    await lab.virsh("snapshot-create-as", SPEC.name, "half", "--disk-only", "--atomic", "--no-metadata")
    bases = {disk.target: disk.backing[0] for disk in (await facts_of(host, SPEC.name)).disks}
    for path in (lab.folder / "g").glob("*.half"):
        path.unlink()
    code, said = await rescue_by_hand(lab)
    assert code == EXIT_RESCUE
    assert "MERGE NOW, do not stop the guest [now]" in said
    code, said = await rescue_by_hand(lab, "--confirm", SPEC.name)
    assert code == 0, said
    assert "was kept" not in said
    assert {disk.target: disk.source for disk in (await facts_of(host, SPEC.name)).disks} == bases
    assert await find_leftovers(host) == ()
    now = {log: await written(lab, log) for log in LOGS}
    assert all(now[log][: len(before[log])] == before[log] for log in LOGS)


async def test_a_clone_whose_image_is_deleted_is_copied_by_the_command_that_is_told(
    lab: Laboratory, host: Host, target: Path
) -> None:
    images = lab.folder / "g"
    base, clone = images / "golden.qcow2", images / "clone.qcow2"
    make_image(base, images, size="16M")
    make_image(clone, images, below=str(base))
    words = ("--driver", "qemu", "--subdriver", "qcow2", "--targetbus", "virtio", "--live", "--config")
    await lab.virsh("attach-disk", SPEC.name, str(clone), "vdc", *words)
    try:
        golden = base.read_bytes()
        clone.unlink()
        (found,) = await find_leftovers(host)
        assert (found.way, found.title) == (Way.EXPLAIN, "COPY NOW, do not stop the guest")
        (command,) = found.commands
        code, said, wrong = await run_program("bash", "-c", command)
        assert code == 0, said + wrong
        assert [disk.source for disk in (await facts_of(host, SPEC.name)).disks][2] == f"{clone}.saved.qcow2"
        assert base.read_bytes() == golden
        assert await find_leftovers(host) == ()
    finally:
        await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", "--config")


def make_image(path: Path, folder: Path, *, size: str = "", below: str = "") -> None:
    """An empty qcow2 image that guests may write to, as `folder` they may."""
    lies_on = ("-b", below, "-F", "qcow2") if below else ()
    words = [word for word in ("-q", "-f", "qcow2", *lies_on, str(path), size) if word]
    subprocess.run(["qemu-img", "create", *words], check=True)
    shutil.chown(path, folder.stat().st_uid, folder.stat().st_gid)


@pytest.mark.long
async def test_a_transient_guest_that_is_gone_is_started_by_the_commands_that_are_told(
    lab: Laboratory, host: Host, target: Path
) -> None:
    kept = lab.folder / "kept.xml"
    kept.write_text(await lab.virsh("dumpxml", SPEC.name, "--inactive"))
    await lab.virsh("undefine", SPEC.name)
    try:
        plan, before = await left_behind(lab, host, target)
        await lab.virsh("destroy", SPEC.name)
        (found,) = await find_leftovers(host)
        assert "qemu-img commit" in found.commands[0]
        assert "virsh" in found.commands[-1]
        assert isinstance(found.evidence, GuestEvidence)
        assert Path(found.evidence.definition).stat().st_mode & 0o777 == 0o600
        code, said, wrong = await run_program("bash", "-ec", "\n".join(found.commands))
        assert code == 0, said + wrong
        await lab.wait_for_agent(SPEC.name)
        code, said = await rescue_by_hand(lab)
        assert code == 0, said
        assert await what_is_wrong(lab, plan, before) == []
    finally:
        await lab.virsh("define", str(kept))


async def test_an_overlay_that_nothing_but_its_name_tells_of_is_listed_and_kept(
    lab: Laboratory, host: Host, target: Path
) -> None:
    base = str(lab.disk(SPEC.name, "vda"))
    stray = Path(overlay_beside(base, "20261101T000000Z", "vda"))
    make_image(stray, lab.folder / "g", size="16M")
    assert (await run_program("qemu-io", "-c", "write -P 7 0 64k", str(stray)))[0] == 0
    # Its base is in use: only the header is written.
    assert (await run_program("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, str(stray)))[0] == 0
    try:
        (found,) = await find_leftovers(host)
        assert (found.guest, found.way, str(found.urgency)) == (SPEC.name, Way.EXPLAIN, "soon")
        assert str(stray) in found.explanation
        assert await find_leftovers(host, ("another",)) == ()
        code, said = await rescue_by_hand(lab)
        assert code == EXIT_RESCUE
        assert str(stray) in said
        assert stray.exists()
    finally:
        stray.unlink()
    assert await find_leftovers(host) == ()
