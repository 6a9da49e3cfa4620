"""Another rate for a copy that runs: where it holds, and where the answer is that it cannot."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backup_values import a_plan
from tui.backup.control import Orders, listening
from tui.backup.errors import BackupError
from tui.backup.meter import Throttle
from tui.backup.plan import BackupPlan, Source
from tui.backup.progress import Progress, Step, StepStatus
from tui.backup.runs import create_run
from tui.backup.steering import change_rate
from tui.cli.jobs_verb import JobsWish, run_jobs

PLAIN = a_plan()
COMPACT = replace(PLAIN, compact=True)
CHAIN = replace(PLAIN, disks=(replace(PLAIN.disks[0], below=("/images/golden.qcow2",)), PLAIN.disks[1]))


async def told(plan: BackupPlan, *done: Step, bytes_s: int = 3_000_000) -> tuple[str, int]:
    """What the order for another rate comes to once the steps are `done`: the answer, and the rate that is obeyed."""
    run = create_run(plan, stand_in=os.getpid())
    with closing(Progress(run.folder)) as progress:
        for step in done:
            progress.step(step, StepStatus.DONE)
    orders = Orders(asyncio.Event(), Throttle(1))
    async with listening(run, orders):
        try:
            answer = await change_rate(run, bytes_s)
        except BackupError as error:
            answer = f"{error.title}: {error.cause}"
    return answer, orders.throttle.bytes_s


@pytest.mark.parametrize("plan", [PLAIN, replace(COMPACT, source=Source.STREAM)])
@pytest.mark.parametrize(("bytes_s", "words"), [(3_000_000, "at most 3 MB/s"), (0, "without a limit")])
async def test_a_copy_made_here_obeys(plan: BackupPlan, bytes_s: int, words: str) -> None:
    answer, rate = await told(plan, bytes_s=bytes_s)
    assert answer.startswith(f"The copy goes on {words}")
    assert rate == bytes_s
    assert ("not for a converted copy: vda, vdb" in answer) is plan.compact


async def test_of_several_disks_those_that_are_converted_are_named() -> None:
    assert await told(CHAIN) == ("The copy goes on at most 3 MB/s; not for a converted copy: vda", 3_000_000)


async def test_where_every_copy_is_converted_nothing_is_changed() -> None:
    answer, rate = await told(COMPACT)
    assert answer.startswith("The rate was not changed: not for a converted copy: qemu-img converts vda, vdb")
    assert rate == 1


async def test_the_proof_of_a_converted_copy_obeys() -> None:
    assert await told(COMPACT, Step.COPY) == ("The copy goes on at most 3 MB/s", 3_000_000)


async def test_once_all_is_verified_there_is_nothing_to_change() -> None:
    assert await told(PLAIN, Step.COPY, Step.VERIFY) == ("The rate was not changed: all is copied and verified", 1)


def test_the_command_line_says_so_too(tmp_path: Path) -> None:
    run = create_run(replace(COMPACT, target=str(tmp_path)), stand_in=os.getpid())
    with pytest.raises(BackupError, match="not for a converted copy"):
        run_jobs(JobsWish(run.plan.run_id, limit_bytes_s=0))
