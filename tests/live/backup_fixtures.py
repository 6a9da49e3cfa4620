"""What every live test of backups stands on: a host to ask, a folder to save in, a guest's facts."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.backup_process import connect
from tests.live.kill_matrix import SPEC
from tests.live.watched import PATIENCE_S
from tui.backup.follow import follow
from tui.backup.runs import AnyRun, worker_alive
from tui.backup.runstate import RunState
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB
from tui.model.guest import DomainFacts

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount or make a loop device")


@asynccontextmanager
async def laboratory_of_one() -> AsyncIterator[Laboratory]:
    """A laboratory with one guest that writes all the time, for a module that mistreats both."""
    async with Laboratory() as laboratory:
        await laboratory.add(SPEC)
        await laboratory.wait_for_agent(SPEC.name)
        yield laboratory


@pytest_asyncio.fixture(loop_scope="session")
async def host(lab: Laboratory) -> AsyncIterator[Host]:
    """A connection of the test's own to the laboratory of its module."""
    host = connect(lab.uri)
    await host.open()
    yield host
    await host.close()


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder for backups; runs are kept apart from the user's, and workers find this checkout."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def loop_device(lab: Laboratory) -> Iterator[str]:
    """A block device that the laboratory's guests may write to, with some data on it."""
    backing = lab.folder / "device.img"
    with backing.open("wb") as file:
        file.write(os.urandom(3 * MIB))
        file.truncate(24 * MIB)
    made = subprocess.run(["losetup", "--find", "--show", backing], capture_output=True, check=True, text=True)
    device = made.stdout.strip()
    owner = (lab.folder / "g").stat()
    shutil.chown(device, owner.st_uid, owner.st_gid)
    yield device
    shutil.chown(device, 0, 0)
    subprocess.run(["losetup", "--detach", device], check=True)
    backing.unlink()


async def facts_of(host: Host, name: str) -> DomainFacts:
    return next(facts for facts in await host.list_domains() if facts.name == name)


async def end_of(run: AnyRun) -> RunState:
    """Where a run ended; returns when its worker is gone too, which is a moment after its last word."""
    last: RunState | None = None
    async for state in follow(run):
        last = state
    assert last is not None
    async with asyncio.timeout(PATIENCE_S):
        while worker_alive(run):  # noqa: ASYNC110 - a process that ends tells nobody but its parent
            await asyncio.sleep(0.01)
    return last


def log_of(run: AnyRun) -> str:
    return (run.folder / "worker.log").read_text(errors="replace")
