"""A backup that stands still at a chosen moment, for a test that does something to it there."""

from pathlib import Path

from tests.live import held_worker
from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import LOGS, SPEC, until, written
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.propose import Proposal, propose
from tui.backup.runs import Run, worker_alive
from tui.backup.runstate import RunState
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory


async def proposal_of(
    host: Host,
    target: Path,
    policy: QuiescePolicy = QuiescePolicy.REQUIRED,
    *,
    compact: bool = False,
    overlays: Path | None = None,
) -> Proposal:
    facts = await facts_of(host, SPEC.name)
    return await propose(host, facts, target, quiesce=policy, compact=compact, overlays=overlays)


async def held_run(
    lab: Laboratory,
    host: Host,
    target: Path,
    moment: str,
    verb: str = "worker",
    *,
    compact: bool = False,
    overlays: Path | None = None,
) -> tuple[Run, BackupPlan, dict[str, list[int]]]:
    """A backup that stands still at `moment`, and what the guest had written by then."""
    proposal = await proposal_of(host, target, compact=compact, overlays=overlays)
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, held_worker.argv(moment, verb))
    await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
    assert (run.folder / HELD).exists(), log_of(run)
    return run, proposal.plan, {log: await written(lab, log) for log in LOGS}


async def let_go(run: Run) -> RunState:
    (run.folder / GO).touch()
    return await end_of(run)
