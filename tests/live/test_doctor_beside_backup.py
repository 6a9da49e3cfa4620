"""The doctor beside a backup that runs: it says so, asks that guest's agent nothing, and disturbs neither."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import copy_of, until
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.propose import propose
from tui.backup.runs import Run
from tui.backup.runstate import EXIT_DONE
from tui.backup.scan import find_leftovers
from tui.cli.held import held_by_run
from tui.doctor.causes import Cause
from tui.doctor.examine import examine, examine_all
from tui.doctor.facts import Patient
from tui.doctor.verdict import Examination
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import GuestSpec

NEIGHBOURS = ("n-one", "n-two")
COPY_BYTES_S = 24_000_000
"""So slow that the doctor goes his rounds a few times while it is copied."""


async def begin(host: Host, guest: str, target: Path, moment: str) -> tuple[Run, BackupPlan]:
    facts = await facts_of(host, guest)
    proposal = await propose(host, facts, target, quiesce=QuiescePolicy.REQUIRED, limit_bytes_s=COPY_BYTES_S)
    assert proposal.may_begin, proposal.checks
    return launch(proposal.plan, held_worker.argv(moment)), proposal.plan


async def go_round(host: Host, names: tuple[str, ...]) -> dict[str, Examination]:
    facts = [await facts_of(host, name) for name in names]
    patients = [Patient(host.name, each.uuid, each.name, held=held_by_run(each.uuid)) for each in facts]
    return {each.facts.patient.name: each async for each in examine_all({host.name: host}, patients)}


@pytest.mark.long
async def test_a_backup_is_named_and_neither_its_freeze_nor_its_copy_is_disturbed(
    lab: Laboratory, web1: str, host: Host, target: Path
) -> None:
    for name in NEIGHBOURS:
        await lab.add(GuestSpec(name, memory_mib=96))
    for name in NEIGHBOURS:
        await lab.wait_for_agent(name)
    run, plan = await begin(host, web1, target, "frozen")
    await until(lambda: (run.folder / HELD).exists())
    assert await lab.agent_command(web1, "guest-fsfreeze-status") == "frozen"
    facts = await facts_of(host, web1)
    alone = await examine(host, Patient(host.name, facts.uuid, web1, held=held_by_run(facts.uuid)))
    among = await go_round(host, (web1, *NEIGHBOURS))
    assert await lab.agent_command(web1, "guest-fsfreeze-status") == "frozen", "nobody thawed it"
    (run.folder / GO).touch()

    ending = asyncio.create_task(end_of(run))
    rounds = [among]
    while not ending.done():
        rounds.append(await go_round(host, (web1, *NEIGHBOURS)))
    state = await ending
    assert (state.exit_code, state.error, state.shortfalls) == (EXIT_DONE, None, ()), log_of(run)
    assert state.consistency == "quiesced"
    assert await copy_of(plan) == ("good", [])
    assert await find_leftovers(host) == ()

    beside = [each[web1] for each in rounds if each[web1].facts.patient.held]
    assert len(beside) > 1, "some round fell into the copy"
    for seen in (alone, *beside):
        assert seen.verdict.cause is Cause.AT_WORK, seen.verdict
        assert plan.run_id in seen.verdict.sentence
        assert seen.facts.agent is None, "its agent was not asked"
    # A guest without KVM falls behind the clock while three of them share a processor with a copy.
    causes = {each[name].verdict.cause for each in rounds for name in NEIGHBOURS}
    assert Cause.HEALTHY in causes <= {Cause.HEALTHY, Cause.CLOCK_OFF}
    after = (await go_round(host, (web1,)))[web1]
    assert after.verdict.cause is Cause.HEALTHY
    for name in NEIGHBOURS:
        await lab.virsh("destroy", name)
        await lab.virsh("undefine", name)
