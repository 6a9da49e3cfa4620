"""Two accounts on one guest: they keep each other off, and what its user paused stays paused."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import end_of, laboratory_of_one, log_of
from tests.live.backup_process import WORKER
from tests.live.held_run import held_run, let_go, proposal_of
from tests.live.kill_matrix import SPEC, copy_of, rescue_by_hand, what_is_wrong
from tests.live.test_rescue import left_behind
from tui.backup.journal import Journal, RunStage
from tui.backup.launch import launch
from tui.backup.leftovers import Way
from tui.backup.liveness import own_owner
from tui.backup.mark import Kind, mark_xml
from tui.backup.runs import find_run
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.scan import find_leftovers
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


@pytest.fixture
def other_account(tmp_path: Path) -> Path:
    """The state folder of an account that sees none of the first one's journals."""
    return tmp_path / "other-state"


async def rescue_as(state: Path, lab: Laboratory, *more: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui", "-c", lab.uri, "rescue", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"XDG_STATE_HOME": str(state)},
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_rescue_by_another_account_leaves_a_running_backup_alone(
    lab: Laboratory, host: Host, target: Path, other_account: Path
) -> None:
    run, plan, before = await held_run(lab, host, target, "copy-mid")
    for more in ((), ("--apply",), ("--apply", "--confirm", SPEC.name)):
        code, said = await rescue_as(other_account, lab, *more)
        assert (code, "To set it right" in said) == (0, False), said
        assert f"backup by root on {os.uname().nodename}" in said
        assert "last sign of life" in said
    state = await let_go(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    assert (await copy_of(plan))[0] == "good"
    assert await what_is_wrong(lab, plan, before) == []


async def test_what_another_account_left_is_merged_once_that_is_confirmed(
    lab: Laboratory, host: Host, target: Path, other_account: Path
) -> None:
    plan, before = await left_behind(lab, host, target)
    code, said = await rescue_as(other_account, lab, "--apply")
    assert (code, "by another account" in said, "has ended" in said) == (3, True, True), said
    code, said = await rescue_as(other_account, lab, "--apply", "--confirm", SPEC.name)
    assert code == 0, said
    code, said = await rescue_by_hand(lab)
    assert code == 0, said
    assert await what_is_wrong(lab, plan, before) == []


async def test_of_two_accounts_that_begin_within_a_second_one_steps_back_untouched(
    lab: Laboratory, host: Host, target: Path, other_account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await proposal_of(host, target)
    one = launch(first.plan, WORKER)
    with monkeypatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(other_account))
        await asyncio.sleep(0.3)
        second = await proposal_of(host, target)
        two = launch(second.plan, WORKER)
        ends = [await end_of(one), await end_of(two)]
    codes = sorted(state.exit_code if state.exit_code is not None else -1 for state in ends)
    assert codes == [EXIT_DONE, EXIT_NOT_DONE], log_of(one) + log_of(two)
    (loser,) = (run for run, state in zip((one, two), ends, strict=True) if state.exit_code == EXIT_NOT_DONE)
    assert "may be running" in log_of(loser)
    for plan in (first.plan, second.plan):
        assert await what_is_wrong(lab, plan, {"/writes.log": [], "/data/writes.log": []}) == []


@pytest.mark.parametrize("moment", ["planned", "freezing"])
async def test_a_mark_that_another_wrote_meanwhile_makes_a_backup_step_back(
    lab: Laboratory, host: Host, target: Path, moment: str
) -> None:
    run, plan, before = await held_run(lab, host, target, moment)
    theirs = mark_xml(own_owner("ffffffff", "elsewhere", Kind.BACKUP), RunStage.PLANNED)
    await host.set_run_metadata(plan.uuid, theirs)
    state = await let_go(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    there = await host.run_metadata(plan.uuid)
    assert there is not None
    assert "ffffffff" in there
    await host.set_run_metadata(plan.uuid, None)
    assert await what_is_wrong(lab, plan, before) == []


@pytest.mark.long
async def test_a_revived_guest_that_its_user_ran_and_paused_is_never_put_off(
    lab: Laboratory, host: Host, target: Path
) -> None:
    plan, before = await left_behind(lab, host, target)
    run = find_run(plan.run_id)
    assert run is not None
    await lab.virsh("destroy", SPEC.name)
    # A rescue that died right after it had started the guest with its processors stopped.
    Journal(run.folder).write(RunStage.REVIVING)
    await lab.virsh("start", SPEC.name, "--paused")
    assert (await host.guest_time_ns(plan.uuid)) is not None
    await lab.virsh("resume", SPEC.name)
    await lab.wait_for_agent(SPEC.name)
    await lab.virsh("suspend", SPEC.name)
    (found,) = await find_leftovers(host)
    assert found.way is Way.MERGE
    code, said = await rescue_by_hand(lab)
    assert (code, "left as it is" in said) == (0, True), said
    assert (await lab.virsh("domstate", SPEC.name)).strip() == "paused"
    await lab.virsh("resume", SPEC.name)
    assert await what_is_wrong(lab, plan, before) == []
