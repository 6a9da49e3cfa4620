"""Backups by a user who may talk to libvirt, but neither read the images nor write into their folder."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import end_of, facts_of, host, laboratory_of_one, log_of, target
from tests.live.backup_process import WORKER, connect
from tests.live.held_worker import GO, HELD
from tests.live.kill_matrix import LOGS, SPEC, Blow, copy_of, run_cell, until, what_is_wrong, written
from tui.backup.folder import VOID, result_folder
from tui.backup.journal import RunStage, read_journal
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy, Source, read_plan
from tui.backup.propose import propose
from tui.backup.runs import cancel, open_run, worker_alive
from tui.backup.runstate import EXIT_DONE, EXIT_NOT_DONE
from tui.backup.source import SourceWish
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory

STRANGER = pwd.getpwnam("daemon")
"""A user other than root and the laboratory's; libvirt asks for one that has a name."""
REPOSITORY = Path(__file__).parents[2]

__all__ = ["host", "target"]


@dataclass(frozen=True, slots=True)
class Stranger:
    """Runs programs as another user; `home` is a folder of that user's."""

    python: str
    home: Path
    uri: str

    @property
    def target(self) -> Path:
        return self.home / "backups"

    async def run(self, *words: str) -> tuple[int, str]:
        """What `qga-tui` exits with, and says."""
        process = await asyncio.create_subprocess_exec(
            *as_stranger(self.python, "-m", "tui", "-c", self.uri, *words),
            cwd="/",
            env=environment(self.home),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def held_backup(self, moment: str) -> tuple[Path, BackupPlan]:
        """The run and the plan of a backup whose worker waits at `moment`."""
        code, said = await self.run("backup", SPEC.name, "--to", str(self.target), "--dry-run", "--json")
        assert code == 0, said
        plan = read_plan(json.dumps(json.loads(said)["plan"]))
        assert plan.source is Source.STREAM
        path = self.home / "plan.json"
        path.write_text(plan.to_json())
        launcher = await asyncio.create_subprocess_exec(
            *as_stranger(self.python, "-m", "tests.live.held_worker", "launcher", moment, str(path)),
            cwd="/",
            env=environment(self.home),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await launcher.communicate(b"")
        assert out == b"launched\n"
        run = self.home / "state/qga-tui/runs" / plan.run_id
        await until(lambda: (run / HELD).exists())
        return run, plan

    async def kill(self, run: Path) -> None:
        """End the run's worker as a crash would."""
        held = open_run(run)
        assert cancel(held, signal.SIGKILL)
        await until(lambda: not worker_alive(held))

    def runs(self) -> list[Path]:
        folder = self.home / "state/qga-tui/runs"
        return [path for path in folder.iterdir() if (path / "plan.json").exists()] if folder.is_dir() else []


def as_stranger(*words: str) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={STRANGER.pw_uid}", f"--regid={STRANGER.pw_gid}", "--clear-groups", "--", *words)


def environment(home: Path) -> dict[str, str]:
    packages = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": f"{REPOSITORY}:{packages}",
    }


def python_of_strangers(home: Path) -> str:
    """An interpreter that other users may run too, with the program's packages."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        # The worker is started by the same interpreter, once the user is the other one for good.
        again = "import libvirt, subprocess, sys, tui.cli.main; subprocess.run([sys.executable, '-c', ''], check=True)"
        words = as_stranger(candidate, "-c", again)
        tried = subprocess.run(words, cwd="/", env=environment(home), capture_output=True, check=False)
        if tried.returncode == 0:
            return candidate
    pytest.skip("no interpreter here can be run by another user")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab() -> AsyncIterator[Laboratory]:
    async with laboratory_of_one() as laboratory:
        yield laboratory


@pytest.fixture
def stranger(lab: Laboratory) -> Iterator[Stranger]:
    """May connect to the laboratory's daemon; the images are their owner's alone, and so is their folder."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
    socket = Path(lab.uri.partition("socket=")[2])
    images = lab.disk(SPEC.name, "vda").parent
    modes = {folder: 0o711 for folder in (lab.folder, *socket.parents) if folder.is_relative_to(lab.folder)}
    modes |= {socket: 0o777, images: 0o700}
    modes |= {lab.disk(SPEC.name, disk): 0o600 for disk in ("vda", "vdb")}
    before = {path: path.stat().st_mode for path in modes}
    # Not below pytest's own folder, which is closed to others.
    home = Path(tempfile.mkdtemp(prefix="qga-stranger.", dir="/var/tmp"))
    (home / "backups").mkdir()
    for path in (home, home / "backups"):
        shutil.chown(path, STRANGER.pw_uid, STRANGER.pw_gid)
    try:
        for path, mode in modes.items():
            path.chmod(mode)
        stranger = Stranger(python_of_strangers(home), home, lab.uri)
        yield stranger
        for run in stranger.runs():
            cancel(open_run(run), signal.SIGKILL)
    finally:
        for path, mode in before.items():
            path.chmod(mode)
        shutil.rmtree(home)


async def assert_untouched(lab: Laboratory, plan: BackupPlan, before: dict[str, list[int]]) -> None:
    assert await what_is_wrong(lab, plan, before) == []
    assert (await lab.virsh("pool-list", "--all")).split() == []


async def test_the_copy_of_images_that_may_not_be_read_is_the_same_bytes(lab: Laboratory, stranger: Stranger) -> None:
    before = {log: await written(lab, log) for log in LOGS}
    code, said = await stranger.run("backup", SPEC.name, "--to", str(stranger.target), "--dry-run")
    assert code == 0, said
    assert "storage streams" in said
    assert "this user may not read" in said
    assert (await lab.virsh("pool-list", "--all")).split() == []
    code, said = await stranger.run("backup", SPEC.name, "--to", str(stranger.target), "--source", "file", "--dry-run")
    assert code == 2, said

    code, said = await stranger.run("backup", SPEC.name, "--to", str(stranger.target))
    assert code == 0, said
    (run,) = stranger.runs()
    plan = read_plan((run / "plan.json").read_text())
    await assert_untouched(lab, plan, before)
    result = result_folder(plan).final
    assert json.loads((result / "manifest.json").read_text())["source"] == "stream"
    sums = await asyncio.create_subprocess_exec("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=result)
    assert await sums.wait() == 0
    code, said = await stranger.run("verify", str(result))
    assert code == 0, said


@pytest.mark.parametrize(
    ("moment", "blow"),
    [
        ("copy-mid", Blow.LIBVIRTD),
        pytest.param("pivoted", Blow.WORKER, marks=pytest.mark.long),
    ],
)
async def test_what_died_after_the_copy_or_comes_back_in_it_loses_no_backup(
    lab: Laboratory, target: Path, moment: str, blow: Blow
) -> None:
    cell = await run_cell(lab, target, moment, blow, SourceWish.STREAM)
    assert (cell.copy, cell.problems) == ("good", ())


async def streamed(lab: Laboratory, host: Host, target: Path, disks: tuple[str, ...], *, compact: bool) -> BackupPlan:
    """A backup through streams that was done as asked."""
    facts = await facts_of(host, SPEC.name)
    proposal = await propose(
        host,
        facts,
        target,
        disks,
        quiesce=QuiescePolicy.REQUIRED,
        compact=compact,
        source=SourceWish.STREAM,
    )
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_DONE, ()), log_of(run)
    assert await copy_of(proposal.plan) == ("good", [])
    assert [path.name for path in state.result.iterdir() if path.name.startswith("scratch")] == []
    assert (await facts_of(host, SPEC.name)).disks == facts.disks
    assert "qga-tui" not in await lab.virsh("pool-list", "--all")
    return proposal.plan


async def test_compact_copies_and_chains_come_through_streams_too(lab: Laboratory, host: Host, target: Path) -> None:
    plan = await streamed(lab, host, target, ("vda", "vdb"), compact=True)
    assert await what_is_wrong(lab, plan, {log: [] for log in LOGS}) == []
    assert {path.name for path in (result_folder(plan).final / "disks").iterdir()} == {"vda.qcow2", "vdb.qcow2"}
    top = lab.disk(SPEC.name, "vdb").with_name("users-own.qcow2")
    words = ("--diskspec", f"vdb,snapshot=external,file={top}", "--diskspec", "vda,snapshot=no")
    await lab.virsh("snapshot-create-as", SPEC.name, "--disk-only", "--no-metadata", *words)
    try:
        plan = await streamed(lab, host, target, ("vdb",), compact=False)
        assert plan.disks[0].below == (str(lab.disk(SPEC.name, "vdb")),)
        assert plan.disks[0].base == str(top)
    finally:
        await lab.virsh("blockcommit", SPEC.name, "vdb", "--active", "--pivot", "--wait")
        top.unlink()


FAKE_SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$*"
"""
FAKE_NETCAT = """#!{python}
import os, socket, sys, threading
if sys.argv[-2:-1] != ["-U"]:
    sys.exit(1)
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[-1])
def pump():
    while piece := line.recv(1 << 18):
        os.write(1, piece)
    os._exit(0)
threading.Thread(target=pump, daemon=True).start()
while piece := os.read(0, 1 << 18):
    line.sendall(piece)
"""


@pytest.fixture
def far_uri(lab: Laboratory, tmp_path: Path) -> str:
    """The laboratory's daemon as another machine's: over libvirt's own ssh transport, with an ssh that goes nowhere."""
    programs = {"ssh": FAKE_SSH, "netcat": FAKE_NETCAT.format(python=sys.executable)}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    socket = lab.uri.partition("socket=")[2]
    options = f"socket={socket}&command={tmp_path}/ssh&netcat={tmp_path}/netcat&proxy=netcat"
    return f"qemu+ssh://far.example/session?{options}"


async def test_images_on_another_machine_come_through_streams(lab: Laboratory, target: Path, far_uri: str) -> None:
    host = connect(far_uri)
    await host.open()
    facts = await facts_of(host, SPEC.name)
    proposal = await propose(host, facts, target, ("vdb",), quiesce=QuiescePolicy.REQUIRED)
    assert proposal.may_begin, proposal.checks
    assert proposal.plan.source_reason.startswith("the images are on another machine, ")
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_DONE, ()), log_of(run)
    assert await copy_of(proposal.plan) == ("good", [])
    assert await what_is_wrong(lab, proposal.plan, {log: [] for log in LOGS}) == []
    await host.close()


async def test_a_stranger_whose_worker_was_killed_sets_it_right(lab: Laboratory, stranger: Stranger) -> None:
    before = {log: await written(lab, log) for log in LOGS}
    run, plan = await stranger.held_backup("copied")
    copies = result_folder(plan).partial / "disks"
    for disk in plan.disks:
        words = ("-f", disk.format, "-F", disk.format, disk.base, str(copies / plan.copy_name(disk)))
        compared = await asyncio.create_subprocess_exec("qemu-img", "compare", "-q", *words)
        assert await compared.wait() == 0
        assert (copies / plan.copy_name(disk)).read_bytes() == Path(disk.base).read_bytes()
    await stranger.kill(run)
    code, said = await stranger.run("rescue", SPEC.name, "--apply")
    assert code == 0, said
    assert "is on its own disks" in said
    await assert_untouched(lab, plan, before)
    assert (result_folder(plan).final / "SHA256SUMS").is_file()

    run, plan = await stranger.held_backup("copy-mid")
    assert "qga-tui" in await lab.virsh("pool-list", "--all")
    await stranger.kill(run)
    code, said = await stranger.run("rescue", "--json", "--apply")
    assert code == 0, said
    (told,) = json.loads(said[said.index("[\n") :])
    assert (told["way"], told["copy"]) == ("merge", "void")
    await assert_untouched(lab, plan, before)


@pytest.mark.long
async def test_a_download_that_is_cancelled_leaves_the_guest_as_before(lab: Laboratory, stranger: Stranger) -> None:
    before = {log: await written(lab, log) for log in LOGS}
    folder, plan = await stranger.held_backup("copy-mid")
    run = open_run(folder)
    assert cancel(run, signal.SIGTERM)
    (folder / GO).touch()
    await until(lambda: not worker_alive(run))
    last = read_journal(folder)[-1]
    assert (last.stage, last.details["exit_code"]) == (RunStage.FAILED, EXIT_NOT_DONE)
    assert (result_folder(plan).partial / VOID).is_file()
    await assert_untouched(lab, plan, before)
