"""Backups by a user who may talk to libvirt, but neither read the images nor write into their folder."""

import asyncio
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.live.kill_matrix import LOGS, SPEC, what_is_wrong, written
from tui.backup.folder import result_folder
from tui.backup.plan import BackupPlan, read_plan
from tui.lab.laboratory import Laboratory

STRANGER = pwd.getpwnam("daemon")
"""A user other than root and the laboratory's; libvirt asks for one that has a name."""
REPOSITORY = Path(__file__).parents[2]
LONG_S = 120.0

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@dataclass(frozen=True, slots=True)
class Stranger:
    """Runs programs as another user; `home` is a folder of that user's."""

    python: str
    home: Path
    uri: str

    @property
    def target(self) -> Path:
        return self.home / "backups"

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *as_stranger(self.python, "-m", "tui", "-c", self.uri, *words),
            cwd="/",
            env=environment(self.home),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *words: str) -> tuple[int, str]:
        process = await self.start(*words)
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

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
    async with Laboratory() as laboratory:
        await laboratory.add(SPEC)
        await laboratory.wait_for_agent(SPEC.name)
        yield laboratory


@pytest.fixture
def stranger(lab: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """May connect to the laboratory's daemon; the images are their owner's alone, and so is their folder."""
    socket = Path(lab.uri.partition("socket=")[2])
    for folder in (lab.folder, *(each for each in socket.parents if lab.folder in each.parents)):
        folder.chmod(0o711)
    socket.chmod(0o777)
    images = lab.disk(SPEC.name, "vda").parent
    images.chmod(0o700)
    for disk in ("vda", "vdb"):
        lab.disk(SPEC.name, disk).chmod(0o600)
    home = Path("/var/tmp") / f"qga-stranger.{os.getpid()}"
    (home / "backups").mkdir(parents=True)
    for path in (home, home / "backups"):
        os.chown(path, STRANGER.pw_uid, STRANGER.pw_gid)
    yield Stranger(python_of_strangers(home), home, lab.uri)
    shutil.rmtree(home)
    images.chmod(0o755)


async def until(condition: Callable[[], bool]) -> None:
    """Another process brings the condition about: there is no event to await here."""
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


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
