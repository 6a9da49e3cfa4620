"""Backups of a real guest that writes all the time; every claim is read back from files, definitions and the guest."""

import asyncio
import re
import shutil
import signal
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.backup_process import HASTY_WORKER, LAUNCHER, WATCHDOG, WORKER, connect
from tests.terminal import Terminal
from tui.agent.commands import fsfreeze_freeze, ping
from tui.backup.chain import Place, place_of, read_guest
from tui.backup.errors import BackupError
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.leftovers import Way
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.progress import Step
from tui.backup.propose import Proposal, propose
from tui.backup.quiesce import is_frozen
from tui.backup.rescue import rescue
from tui.backup.runs import Run, cancel, create_run, list_runs, open_run, runs_folder, worker_pid
from tui.backup.runstate import EXIT_DONE, EXIT_LESS, EXIT_NOT_DONE, EXIT_RESCUE, RunState
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession, Patience
from tui.backup.watchdog import Watchdog
from tui.hosts.port import Host
from tui.lab.cpio import GuestFile
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, SYSTEM_DISK_SIZE, DiskFormat, DiskRole, DiskSpec, GuestSpec
from tui.settings import config_path

SPEC = GuestSpec(
    "db1",
    disks=(
        DiskSpec(DiskFormat.QCOW2, SYSTEM_DISK_SIZE),
        DiskSpec(DiskFormat.RAW, 64 * MIB, DiskRole.DATA),
        DiskSpec(DiskFormat.RAW, 1024 * MIB, DiskRole.BLANK),
    ),
    writer=True,
    start=False,
)
TARGETS = ("vda", "vdb", "vdc")
QUICK = ("vda", "vdb")
"""Without vdc, which holds so much data that something can happen while it is copied."""
LOGS = ("/writes.log", "/data/writes.log")


def fill(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "big") * (MIB // 8))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def db1(lab: Laboratory) -> str:
    await lab.add(SPEC)
    fill(lab.disk("db1", "vdc"), 1024 * MIB)
    await lab.start("db1")
    await lab.wait_for_agent("db1")
    return "db1"


async def proposal_for(host: Host, target: Path, disks: tuple[str, ...] = TARGETS) -> Proposal:
    facts = await facts_of(host, "db1")
    proposal = await propose(host, facts, target, disks, quiesce=QuiescePolicy.REQUIRED)
    assert proposal.may_begin, proposal.checks
    return proposal


async def until_copying(run: Run, disk: str = "vdc") -> RunState:
    async for state in follow(run):
        copied = next(step for step in state.steps if step.step is Step.COPY)
        if any(progress.target == disk and progress.total for progress in copied.disks):
            return state
    raise AssertionError(f"the run ended before it copied: {log_of(run)}")


def overlays_beside(plan: BackupPlan) -> list[str]:
    return [path.name for path in Path(plan.disks[0].base).parent.iterdir() if "qgatui" in path.name]


async def assert_on_own_disks(lab: Laboratory, host: Host, plan: BackupPlan, name: str = "db1") -> None:
    """The guest is as if nothing had been: both definitions, the images' folder, the mark, the agent."""
    session = HostSession(connect, host.uri, Patience())
    view = await read_guest(session, plan.uuid)
    await session.close()
    for disk in plan.disks:
        assert disk.base == str(lab.disk(name, disk.target))
        assert place_of(view.live[disk.target], disk) is Place.BASE
        assert view.stored[disk.target].source == disk.base
    assert overlays_beside(plan) == []
    assert await host.run_metadata(plan.uuid) is None
    assert not await is_frozen(host.probe_line(plan.uuid))


async def rescue_it(host: Host, plan: BackupPlan) -> None:
    """What was left behind on the plan's guest is found, and set right."""
    (leftover,) = await find_leftovers(host, (plan.uuid,))
    assert leftover.way is Way.MERGE
    session = HostSession(connect, host.uri, Patience())
    try:
        await rescue(session, leftover, lambda target, done, total, waiting: None)
    finally:
        await session.close()
    assert await find_leftovers(host, (plan.uuid,)) == ()


async def ticks(lab: Laboratory, log: str) -> list[int]:
    lines = (await lab.shell("db1", f"cut -d' ' -f1 {log}")).output.split()
    return [int(line) for line in lines]


async def program(*argv: str, cwd: Path | None = None) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_a_guest_that_writes_is_backed_up_and_notices_nothing(
    lab: Laboratory, db1: str, host: Host, target: Path
) -> None:
    before = {log: await ticks(lab, log) for log in LOGS}
    proposal = await proposal_for(host, target)
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    assert (state.exit_code, state.error, state.shortfalls) == (EXIT_DONE, None, ()), log_of(run)
    assert state.consistency == "quiesced"
    assert state.frozen_ms is not None
    await assert_on_own_disks(lab, host, proposal.plan)
    assert not state.result.with_name(state.result.name + ".partial").exists()

    code, said = await program("sha256sum", "-c", "SHA256SUMS", cwd=state.result)
    assert code == 0, said
    boot = ET.fromstring(await host.stored_xml(proposal.plan.uuid)).find("os")
    assert boot is not None
    for element in ("kernel", "initrd"):
        assert (state.result / "boot" / element).read_bytes() == Path(boot.findtext(element, "")).read_bytes()
        assert f"  boot/{element}\n" in (state.result / "SHA256SUMS").read_text()
    assert "## The kernel" in (state.result / "RESTORE.md").read_text()
    code, said = await program("qemu-img", "check", str(state.result / "disks/vda.qcow2"))
    assert code == 0, said
    # Frozen file systems need no repair, not even of their journal.
    code, said = await program("e2fsck", "-fn", str(state.result / "disks/vdb.raw"))
    assert code == 0, said

    code, saved = await program("debugfs", "-R", "cat /writes.log", str(state.result / "disks/vdb.raw"))
    held = [int(line.split()[0]) for line in saved.splitlines() if re.fullmatch(r"\d+ [\d.]+", line)]
    for log in LOGS:
        now = await ticks(lab, log)
        assert now == list(range(now[0], now[0] + len(now)))
        assert now[: len(before[log])] == before[log]
        assert len(now) > len(before[log])
    now = await ticks(lab, "/data/writes.log")
    assert held == now[: len(held)]
    assert len(before["/data/writes.log"]) <= len(held) < len(now)


async def test_the_copy_starts_as_a_second_guest_by_the_commands_of_its_notes(
    lab: Laboratory, db1: str, host: Host, target: Path
) -> None:
    run = launch((await proposal_for(host, target, QUICK)).plan, WORKER)
    state = await end_of(run)
    assert state.exit_code == EXIT_DONE, log_of(run)
    notes = (state.result / "RESTORE.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", notes, re.DOTALL | re.MULTILINE)
    try:
        for block in blocks[:2]:
            code, said = await program("bash", "-e", "-c", block)
            assert code == 0, said
        await lab.wait_for_agent("db1-restored")
        clone = await facts_of(host, "db1-restored")
        assert await ping(host.probe_line(clone.uuid)) > 0
        assert {Path(disk.source).parent.name for disk in clone.disks} == {"db1-restored"}
    finally:
        await lab.virsh("destroy", "db1-restored")
        await lab.virsh("undefine", "db1-restored")
        shutil.rmtree(lab.disk("db1", "vda").parent / "db1-restored")


@pytest.mark.parametrize("blow", [signal.SIGKILL, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
async def test_a_backup_outlives_the_program_that_started_it(
    lab: Laboratory, db1: str, host: Host, target: Path, blow: signal.Signals
) -> None:
    plan = (await proposal_for(host, target)).plan
    (target / "plan.json").write_text(plan.to_json())
    launcher = await asyncio.create_subprocess_exec(
        *LAUNCHER,
        str(target / "plan.json"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    assert await launcher.stdout.readline() == b"launched\n"
    run = open_run(runs_folder() / plan.run_id)
    await until_copying(run)
    launcher.send_signal(blow)
    assert await launcher.wait() == -blow
    state = await end_of(run)
    assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(run)
    await assert_on_own_disks(lab, host, plan)


def open_backup_of_db1(terminal: Terminal) -> None:
    """Find the guest in the list and press the key of its backup."""
    terminal.read_until(lambda written: b"responding" in written)
    for keys in ("/", "db1", "\r"):
        terminal.type(keys)
        terminal.read_for(1)
    terminal.type("b")


@pytest.mark.parametrize("blow", [signal.SIGKILL, pytest.param(signal.SIGHUP, marks=pytest.mark.long)])
async def test_a_backup_outlives_the_full_screen_program_and_a_new_one_shows_its_end(
    lab: Laboratory, db1: str, host: Host, target: Path, blow: signal.Signals
) -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text(f'backups_folder = "{target}"')

    def begin_and_strike() -> Run:
        with Terminal([sys.executable, "-m", "tui", "-c", lab.uri]) as terminal:
            open_backup_of_db1(terminal)
            terminal.read_until(lambda written: b"keep" in written, 15)
            terminal.read_for(1)
            terminal.type("\r")
            terminal.read_until(lambda written: b"Ready" in written, 15)
            terminal.read_for(1)
            terminal.type("\r")
            terminal.read_until(lambda _: bool(list_runs()), 15)
            (run,) = list_runs()
            asyncio.run(until_copying(run))
            terminal.process.send_signal(blow)
            terminal.read_to_end()
        return run

    run = await asyncio.to_thread(begin_and_strike)
    state = await end_of(run)
    assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(run)
    await assert_on_own_disks(lab, host, run.plan)

    def shown_by_a_new_one() -> None:
        with Terminal([sys.executable, "-m", "tui", "-c", lab.uri]) as terminal:
            open_backup_of_db1(terminal)
            terminal.read_until(lambda written: b"verified" in written, 15)

    await asyncio.to_thread(shown_by_a_new_one)


async def test_a_cancelled_backup_brings_the_guest_back_and_voids_its_copy(
    lab: Laboratory, db1: str, host: Host, target: Path
) -> None:
    plan, rival = [(await proposal_for(host, target)).plan for _ in range(2)]
    run = launch(plan, WORKER)
    await until_copying(run)
    refused = await end_of(launch(rival, WORKER))
    assert refused.exit_code == EXIT_NOT_DONE
    assert refused.error is not None
    assert "Another backup" in refused.error.title
    with pytest.raises(BackupError, match="running"):
        await propose(host, await facts_of(host, "db1"), target)
    assert cancel(run, signal.SIGTERM)
    state = await end_of(run)
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.void
    assert state.error is not None
    assert "cancelled" in state.error.title
    assert not state.result.exists()
    assert state.result.with_name(state.result.name + ".partial").is_dir()
    await assert_on_own_disks(lab, host, plan)


async def test_a_worker_that_was_killed_leaves_a_guest_that_can_be_brought_back(
    lab: Laboratory, db1: str, host: Host, target: Path
) -> None:
    plan = (await proposal_for(host, target)).plan
    run = launch(plan, WORKER)
    await until_copying(run)
    assert cancel(run, signal.SIGKILL)
    state = await end_of(run)
    assert state.exit_code == EXIT_RESCUE
    assert worker_pid(run) is None
    written = len(await ticks(lab, "/data/writes.log"))
    await rescue_it(host, plan)
    await assert_on_own_disks(lab, host, plan)
    assert len(await ticks(lab, "/data/writes.log")) >= written


@pytest.mark.long
async def test_a_guest_stopped_meanwhile_comes_home_without_running(
    lab: Laboratory, db1: str, host: Host, target: Path
) -> None:
    plan = (await proposal_for(host, target)).plan
    run = launch(plan, WORKER)
    await until_copying(run)
    written = await ticks(lab, "/data/writes.log")
    await lab.virsh("destroy", "db1")
    state = await end_of(run)
    assert (state.exit_code, state.error) == (EXIT_DONE, None), log_of(run)
    assert (await lab.virsh("domstate", "db1")).strip() == "shut off"
    assert overlays_beside(plan) == []
    code, said = await program("sha256sum", "-c", "SHA256SUMS", cwd=state.result)
    assert code == 0, said
    await lab.start("db1")
    await lab.wait_for_agent("db1")
    await assert_on_own_disks(lab, host, plan)
    assert (await ticks(lab, "/data/writes.log"))[: len(written)] == written


@pytest.mark.parametrize("dies", [True, False])
async def test_the_watchdog_thaws_when_the_backup_dies_or_takes_too_long(
    lab: Laboratory, db1: str, host: Host, target: Path, dies: bool
) -> None:
    plan = (await proposal_for(host, target, QUICK)).plan
    watchdog = await Watchdog.start(WATCHDOG, create_run(plan))
    watchdog.freezing(3600 if dies else 0.5)
    assert await fsfreeze_freeze(host.work_line(plan.uuid), 10) > 0
    if dies:
        watchdog.vanish()
    await watchdog.ended()
    assert not await is_frozen(host.probe_line(plan.uuid))


@pytest.mark.long
async def test_a_freeze_that_takes_too_long_leaves_a_thawed_guest_and_no_overlay(
    lab: Laboratory, host: Host, target: Path
) -> None:
    hook = GuestFile("/etc/slow-hook", b"#!/bin/sh\n[ $1 = freeze ] && sleep 8\nexit 0\n", 0o755)
    await lab.add(GuestSpec("slow", agent_args=("-F/etc/slow-hook",), extra_files=(hook,)))
    await lab.wait_for_agent("slow")
    facts = await facts_of(host, "slow")
    proposal = await propose(host, facts, target, quiesce=QuiescePolicy.REQUIRED)
    run = launch(proposal.plan, HASTY_WORKER)
    state = await end_of(run)
    await assert_on_own_disks(lab, host, proposal.plan, "slow")
    assert state.exit_code == EXIT_NOT_DONE, log_of(run)
    assert state.error is not None
    assert "frozen" in state.error.title
    wanted = await propose(host, facts, target, quiesce=QuiescePolicy.PREFERRED)
    run = launch(wanted.plan, HASTY_WORKER)
    state = await end_of(run)
    await assert_on_own_disks(lab, host, wanted.plan, "slow")
    assert (state.exit_code, state.consistency) == (EXIT_LESS, "crash"), log_of(run)
    assert "not frozen" in state.shortfalls[0]
    await lab.virsh("destroy", "slow")
