"""A backup's target that stops answering, made with a frozen file system: the guest comes home, thawed or not."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import end_of, facts_of, laboratory_of_one, log_of, needs_root
from tests.live.held_run import held_run, let_go, proposal_of
from tests.live.held_worker import GO, HASTY, HELD, argv
from tests.live.kill_matrix import LOGS, LONG_S, copy_of, rescue_by_hand, until, what_is_wrong, written
from tui.backup.control import order
from tui.backup.folder import result_folder
from tui.backup.follow import read_state
from tui.backup.jobs import JobWord, job_of
from tui.backup.journal import RunStage
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.progress import Step
from tui.backup.propose import propose
from tui.backup.restore.catalogue import BackupWord, look_at
from tui.backup.runs import Run, active_run, cancel, is_active, worker_alive, worker_pid
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, GuestSpec

SILENT = "the target does not answer since"

pytestmark = needs_root


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


@pytest.fixture
def freezable(target: Path, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be frozen; thawed and gone afterwards, whatever the test did."""
    image = tmp_path / "target.ext4"
    with image.open("wb") as file:
        file.truncate(512 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, target], check=True)
    yield target
    with suppress(subprocess.CalledProcessError):
        thaw(target)
    subprocess.run(["umount", "-l", target], check=True)


def freeze(folder: Path) -> None:
    subprocess.run(["fsfreeze", "-f", folder], check=True)


def thaw(folder: Path) -> None:
    subprocess.run(["fsfreeze", "-u", folder], check=True, capture_output=True)


async def until_silence_is_told(run: Run) -> None:
    await until(lambda: SILENT in job_of(run).doing or not worker_alive(run))
    assert SILENT in job_of(run).doing, log_of(run)
    assert job_of(run).word is JobWord.RUNNING


async def rescue_while_frozen(lab: Laboratory) -> tuple[int, str]:
    """A rescue that waited for the target would wait for the end of this test, which thaws it."""
    async with asyncio.timeout(LONG_S):
        return await rescue_by_hand(lab)


async def is_home_while_frozen(lab: Laboratory, run: Run, plan: BackupPlan, before: dict[str, list[int]]) -> None:
    """The run is over for everybody, and nothing of it is left but a folder that nobody can write to."""
    assert not is_active(run)
    assert active_run(plan.uuid) is None
    assert job_of(run).word is JobWord.VOID
    assert job_of(run).pid is None
    assert await what_is_wrong(lab, plan, before) == []
    assert look_at(result_folder(plan).partial).word is BackupWord.VOID
    code, said = await rescue_while_frozen(lab)
    assert (code, said.strip()) == (0, "Nothing was left behind.")


async def is_well_once_thawed(
    lab: Laboratory, plan: BackupPlan, before: dict[str, list[int]], target: Path, worker: int
) -> None:
    """What hung in the worker has ended with the one call that it was in."""
    assert Path(f"/proc/{worker}/task").exists()
    thaw(target)
    await until(lambda: not Path(f"/proc/{worker}").exists())
    assert await what_is_wrong(lab, plan, before) == []
    assert not result_folder(plan).final.exists()
    assert look_at(result_folder(plan).partial).word is BackupWord.VOID


async def test_a_target_frozen_in_mid_copy_keeps_no_guest(lab: Laboratory, host: Host, freezable: Path) -> None:
    run, plan, before = await held_run(lab, host, freezable, "copy-mid")
    worker = worker_pid(run)
    freeze(freezable)
    (run.folder / GO).touch()
    await until_silence_is_told(run)
    await order(run, "limit 0")
    await order(run, "cancel")
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    await is_home_while_frozen(lab, run, plan, before)
    await is_well_once_thawed(lab, plan, before, freezable, worker or 0)


@pytest.mark.long
async def test_a_target_frozen_before_the_seal_does_not_keep_the_guest_even_if_nobody_cancels(
    lab: Laboratory, host: Host, freezable: Path
) -> None:
    run, plan, before = await held_run(lab, host, freezable, "copy-end", HASTY)
    worker = worker_pid(run)
    freeze(freezable)
    state = await let_go(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.error is not None
    assert state.error.title == "The target does not answer"
    await is_home_while_frozen(lab, run, plan, before)
    await is_well_once_thawed(lab, plan, before, freezable, worker or 0)


@pytest.mark.long
async def test_a_target_frozen_under_a_converted_copy_keeps_no_lock_on_the_guests_image(
    lab: Laboratory, host: Host, freezable: Path
) -> None:
    """qemu-img hangs in the kernel then, and cannot be killed."""
    proposal = await proposal_of(host, freezable)
    plan = replace(proposal.plan, compact=True, limit_bytes_s=MIB)
    run = launch(plan, argv("none"))
    await until(lambda: _copied(run) > 0)
    before = {log: await written(lab, log) for log in LOGS}
    freeze(freezable)
    await until_silence_is_told(run)
    await order(run, "cancel")
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    await is_home_while_frozen(lab, run, plan, before)


@pytest.mark.long
async def test_a_target_frozen_under_the_uefi_variables_does_not_keep_the_guest(
    lab: Laboratory, host: Host, freezable: Path
) -> None:
    await lab.add(GuestSpec("uefi1", memory_mib=192, uefi=True))
    await lab.wait_for_agent("uefi1")
    try:
        plan = (await propose(host, await facts_of(host, "uefi1"), freezable, quiesce=QuiescePolicy.REQUIRED)).plan
        run = launch(plan, argv("snapshot-taken"))
        await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
        freeze(freezable)
        (run.folder / GO).touch()
        await until_silence_is_told(run)
        await order(run, "cancel")
        state = await end_of(run)
        assert (state.exit_code, state.stage) == (EXIT_NOT_DONE, RunStage.FAILED), log_of(run)
        assert state.void
        assert [disk.source for disk in (await facts_of(host, "uefi1")).disks] == [disk.base for disk in plan.disks]
        assert await find_leftovers(host) == ()
        assert not any(Path(disk.overlay).exists() for disk in plan.disks)
    finally:
        await lab.virsh("destroy", "uefi1")
        await lab.virsh("undefine", "uefi1", "--keep-nvram")


def _copied(run: Run) -> int:
    return next(step for step in read_state(run).steps if step.step is Step.COPY).done


async def test_a_target_that_answers_again_is_gone_on_with(lab: Laboratory, host: Host, freezable: Path) -> None:
    run, plan, before = await held_run(lab, host, freezable, "copy-mid")
    freeze(freezable)
    (run.folder / GO).touch()
    await until_silence_is_told(run)
    thaw(freezable)
    state = await end_of(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    assert await what_is_wrong(lab, plan, before) == []
    assert (await copy_of(plan))[0] == "good"


async def test_a_target_frozen_before_anything_was_done_is_told_and_left(
    lab: Laboratory, host: Host, freezable: Path
) -> None:
    run, plan, before = await held_run(lab, host, freezable, "planned")
    freeze(freezable)
    (run.folder / GO).touch()
    await until_silence_is_told(run)
    await order(run, "cancel")
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert await what_is_wrong(lab, plan, before) == []


@pytest.mark.long
async def test_the_guest_of_a_dead_backup_is_rescued_while_its_target_is_frozen(
    lab: Laboratory, host: Host, freezable: Path
) -> None:
    run, plan, before = await held_run(lab, host, freezable, "copy-mid")
    assert cancel(run, signal.SIGKILL)
    await until(lambda: not worker_alive(run))
    freeze(freezable)
    code, said = await rescue_while_frozen(lab)
    assert code == 0, said
    await is_home_while_frozen(lab, run, plan, before)
