"""A guest that writes, its backup, and what a restore of it is asked: shared by the tests and the kill matrix."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_fixtures import end_of, facts_of, log_of
from tests.live.backup_process import WORKER, connect
from tui.backup.launch import launch
from tui.backup.plan import QuiescePolicy
from tui.backup.propose import propose
from tui.backup.restore.propose import RestoreProposal, propose_restore
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import Fix, Wishes
from tui.backup.runstate import EXIT_DONE, RunState
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, SYSTEM_DISK_SIZE, DiskFormat, DiskRole, DiskSpec, GuestSpec

SPEC = GuestSpec(
    "vault1",
    disks=(DiskSpec(DiskFormat.QCOW2, SYSTEM_DISK_SIZE), DiskSpec(DiskFormat.RAW, 48 * MIB, DiskRole.DATA)),
    writer=True,
    extra_devices=("<interface type='user'><model type='virtio'/></interface>",),
)
NAME = SPEC.name
LOGS = ("/writes.log", "/data/writes.log")


async def back_up(
    host: Host, target: Path, policy: QuiescePolicy = QuiescePolicy.REQUIRED, *, name: str = NAME, compact: bool = False
) -> Path:
    """The folder of a backup of a guest that was made as asked."""
    proposal = await propose(host, await facts_of(host, name), target, quiesce=policy, compact=compact)
    assert proposal.may_begin, proposal.checks
    run = launch(proposal.plan, WORKER)
    state = await end_of(run)
    assert (state.exit_code, state.shortfalls) == (EXIT_DONE, ()), log_of(run)
    return state.result


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(lab: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The backup of the guest in its module's laboratory; runs are kept apart, and workers find this checkout."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(place / "state"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        (place / "backups").mkdir()
        host = connect(lab.uri)
        await host.open()
        yield await back_up(host, place / "backups")
        await host.close()


async def proposed(host: Host, folder: Path, wishes: Wishes) -> RestoreProposal:
    """A proposal that may begin."""
    proposal = await propose_restore(host, read_saved(folder), wishes)
    assert proposal.may_begin, proposal.findings
    return proposal


async def fixes_offered(host: Host, folder: Path, wishes: Wishes) -> tuple[Fix, ...]:
    """What is offered where a restore may not begin as it is wished."""
    proposal = await propose_restore(host, read_saved(folder), wishes)
    assert not proposal.may_begin
    return tuple(fix for finding in proposal.findings for fix in finding.fixes)


async def restored(host: Host, folder: Path, wishes: Wishes) -> RunState:
    """The end of a restore that did what was asked."""
    run = launch((await proposed(host, folder, wishes)).plan, WORKER)
    state = await end_of(run)
    assert (state.exit_code, state.error, state.shortfalls) == (EXIT_DONE, None, ()), log_of(run)
    return state


async def qga_tui(lab: Laboratory, *words: str) -> tuple[int, str]:
    """What the command line prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tui", "-c", lab.uri, *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def written(lab: Laboratory, name: str, log: str) -> list[int]:
    """The numbers that the guest's writer has written."""
    lines = (await lab.shell(name, f"cat {log}")).output.splitlines()
    return numbers("\n".join(lines))


def numbers(text: str) -> list[int]:
    """The numbers in a log of the writer's; a line torn by a power cut is none."""
    return [int(line.split()[0]) for line in text.splitlines() if re.fullmatch(r"\d+ [\d.]+", line.strip("\0"))]


def saved_numbers(folder: Path) -> list[int]:
    """The numbers that the backup of the data disk holds."""
    words = ("debugfs", "-R", "cat /writes.log", str(folder / "disks/vdb.raw"))
    return numbers(subprocess.run(words, capture_output=True, check=True, text=True).stdout)


def is_unbroken(held: list[int]) -> bool:
    return bool(held) and held == list(range(held[0], held[0] + len(held)))
