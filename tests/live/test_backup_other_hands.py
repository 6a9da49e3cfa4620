"""Somebody else changes the guest while it is backed up: each ends with no write lost, and in words."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import facts_of, laboratory_of_one, log_of, needs_root
from tests.live.backup_process import connect
from tests.live.held_run import held_run, let_go
from tests.live.held_worker import GO
from tests.live.kill_matrix import LONG_S, SPEC, copy_of, rescue_by_hand, until, what_is_wrong
from tests.live.second_host import migrate, second_host
from tui.backup.follow import read_state
from tui.backup.journal import RunStage, read_journal
from tui.backup.leftovers import Way
from tui.backup.plan import BackupPlan
from tui.backup.runs import Run
from tui.backup.runstate import EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB

SIZE = 16 * MIB


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    """A laboratory of its own: its guest is taken from it, too."""
    async with laboratory_of_one() as laboratory:
        yield laboratory


@pytest.fixture
def extra(lab: Laboratory) -> Iterator[Path]:
    """A small image, full of ones, that may be attached."""
    image = lab.folder / "g" / "extra.raw"
    image.write_bytes(b"\x01" * SIZE)
    owner = image.parent.stat()
    shutil.chown(image, owner.st_uid, owner.st_gid)
    yield image
    image.unlink()


async def attach(lab: Laboratory, image: Path, *scopes: str) -> None:
    words = ("--targetbus", "virtio", "--driver", "qemu", "--subdriver", "raw", "--live", *scopes)
    await lab.virsh("attach-disk", SPEC.name, str(image), "vdc", *words)


async def detach(lab: Laboratory, host: Host, *scopes: str) -> None:
    await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", *scopes)
    async with asyncio.timeout(LONG_S):
        # The guest gives the disk back in its own time.
        while "vdc" in await sources(host):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def sources(host: Host) -> dict[str, str]:
    return {disk.target: disk.source for disk in (await facts_of(host, SPEC.name)).disks}


async def write_twos(lab: Laboratory, mib: int) -> None:
    """The guest writes to the disk at the given place, and it is on the image when this returns."""
    twos = f"tr '\\0' '\\2' </dev/zero | dd of=/dev/vdc bs=1M seek={mib} count=1 iflag=fullblock conv=fsync"
    said = await lab.shell(SPEC.name, twos)
    assert "1+0 records out" in said.output, said


def noticed(run: Run) -> list[str]:
    return [str(entry.details["what"]) for entry in read_journal(run.folder) if entry.stage is RunStage.NOTICED]


def generated(image: Path) -> list[Path]:
    return [path for path in image.parent.iterdir() if "qgatui" in path.name]


async def test_a_disk_attached_after_the_checks_ends_the_backup_before_anything_is_done(
    lab: Laboratory, host: Host, target: Path, extra: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "planned")
    await attach(lab, extra)
    try:
        state = await let_go(run)
        assert state.exit_code == EXIT_NOT_DONE, log_of(run)
        assert state.error is not None
        assert (state.error.title, state.error.cause) == (
            "The guest's disks were changed since the checks",
            "vdc was attached",
        )
        assert (await sources(host))["vdc"] == str(extra)
        assert await what_is_wrong(lab, plan, before) == []
    finally:
        await detach(lab, host)


async def test_a_disk_attached_at_the_snapshot_itself_is_merged_back_and_told(
    lab: Laboratory, host: Host, target: Path, extra: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "switching")
    await attach(lab, extra)
    try:
        (run.folder / GO).touch()
        await until(lambda: bool(generated(extra)) or read_state(run).ended)
        state = await let_go(run)
        assert state.exit_code == EXIT_LESS, log_of(run)
        assert any(words.startswith("vdc was attached at the moment of the snapshot") for words in state.shortfalls)
        assert (await sources(host))["vdc"] == str(extra)
        assert generated(extra) == []
        assert await what_is_wrong(lab, plan, before) == []
        assert (await copy_of(plan))[0] == "good"
    finally:
        await detach(lab, host)


async def test_a_disk_detached_during_the_copy_gets_its_writes_and_is_told(
    lab: Laboratory, host: Host, target: Path, extra: Path
) -> None:
    await attach(lab, extra, "--config")
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    assert [disk.target for disk in plan.disks] == ["vda", "vdb", "vdc"]
    await write_twos(lab, 3)
    await detach(lab, host)
    await lab.virsh("detach-disk", SPEC.name, "vdc", "--config")
    await until(lambda: "detached vdc" in noticed(run))
    state = await let_go(run)
    assert state.exit_code == EXIT_LESS, log_of(run)
    assert "vdc was detached from the guest during the backup" in state.shortfalls
    content = extra.read_bytes()
    assert content == b"\x01" * (3 * MIB) + b"\x02" * MIB + b"\x01" * (SIZE - 4 * MIB)
    assert generated(extra) == []
    assert await what_is_wrong(lab, without_vdc(plan), before) == []
    assert (await copy_of(plan))[0] == "good"


def without_vdc(plan: BackupPlan) -> BackupPlan:
    return replace(plan, disks=tuple(disk for disk in plan.disks if disk.target != "vdc"))


@needs_root
async def test_a_guest_migrated_away_is_neither_started_nor_merged_here(
    lab: Laboratory, host: Host, target: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    async with second_host() as there:
        await migrate(lab, SPEC.name, there, "--persistent")
        state = await let_go(run)
        assert state.exit_code == EXIT_RESCUE, log_of(run)
        assert state.error is not None
        assert state.error.title == "The guest was migrated to another host during its backup"
        assert state.void
        assert "starting" not in log_of(run)
        assert (await lab.virsh("domstate", SPEC.name, "--reason")).strip() == "shut off (migrated)"
        # A start that failed takes the reason away; the journal keeps it.
        (found,) = await find_leftovers(host, (plan.uuid,))
        assert (found.way, found.title) == (Way.EXPLAIN, state.error.title)
        code, said = await rescue_by_hand(lab, SPEC.name)
        assert (code, "nothing is started or merged here" in said) == (EXIT_RESCUE, True), said
        assert (await there.virsh("domstate", SPEC.name)).strip() == "running"
        far = connect(there.uri)
        await far.open()
        assert {disk.overlay for disk in plan.disks} <= set((await sources(far)).values())
        await far.close()
        # Home again: what is rescued then is as it always was.
        await there.virsh(
            *("migrate", "--live", "--unsafe", SPEC.name, lab.uri, "--migrateuri", "tcp://127.0.0.1:49932"), timeout=240
        )
    code, said = await rescue_by_hand(lab, SPEC.name)
    assert code == 0, said
    assert await what_is_wrong(lab, plan, before) == []
