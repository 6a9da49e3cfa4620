"""Boot tests that go wrong on the way: a clear result, no clone left, and the guest as it was."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, log_of
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import until
from tests.live.restore_matrix import OFF_SPEC, everything
from tests.live.restoring import proposed
from tui.backup.jobs import job_of
from tui.backup.launch import launch
from tui.backup.restore.boot_test import read_note
from tui.backup.restore.plan import RestoreWay
from tui.backup.restore.wishes import Wishes
from tui.backup.runstate import EXIT_DONE, EXIT_LESS
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with Laboratory() as laboratory:
        await laboratory.add(OFF_SPEC)
        yield laboratory


@pytest.mark.parametrize("moment", ["started", "asking"])
async def test_a_clone_whose_qemu_dies_is_told_and_removed(
    lab: Laboratory, host: Host, whole: Path, moment: str
) -> None:
    before = await everything(lab, host)
    plan = (await proposed(host, whole, Wishes(RestoreWay.BOOT_TEST))).plan
    run = launch(plan, held_worker.argv(moment))
    await until(lambda: (run.folder / HELD).exists())
    qemu = int((lab.folder / "r/libvirt/qemu/run" / f"{plan.guest}.pid").read_text())
    os.kill(qemu, signal.SIGKILL)
    await lab.wait_for_power(plan.guest, "shut off")
    (run.folder / GO).touch()
    state = await end_of(run)
    assert (state.exit_code, state.error) == (EXIT_LESS, None), log_of(run)
    (said,) = state.shortfalls
    assert "the boot test failed" in said
    assert "crashed" in said
    assert "did not come up; it was removed again" in state.outcome
    note = read_note(whole)
    assert note is not None
    assert (note.passed, note.answer) == (False, "")
    assert "crashed" in note.why
    assert await everything(lab, host) == before
    assert await find_leftovers(host) == ()


@pytest.mark.long
async def test_a_daemon_that_is_gone_is_told_with_since_when_and_the_test_goes_on_when_it_is_back(
    lab: Laboratory, host: Host, whole: Path
) -> None:
    before = await everything(lab, host)
    plan = (await proposed(host, whole, Wishes(RestoreWay.BOOT_TEST))).plan
    run = launch(plan, held_worker.argv("asking"))
    await until(lambda: (run.folder / HELD).exists())
    await lab.kill_daemon()
    try:
        (run.folder / GO).touch()
        await until(lambda: "boot, ask the agent: libvirt does not answer since " in job_of(run).doing)
        assert "; tried again until " in job_of(run).doing
    finally:
        await lab.start_daemon()
    await until(lambda: job_of(run).doing != "" and "does not answer" not in job_of(run).doing)
    state = await end_of(run)
    assert (state.exit_code, state.error, state.shortfalls) == (EXIT_DONE, None, ()), log_of(run)
    assert await everything(lab, host) == before
