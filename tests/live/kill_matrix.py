"""One cell of the kill matrix: a backup is stopped at a moment, something is killed, all is rescued and looked at."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.live.backup_process import connect
from tests.live.held_worker import GO, HELD, launcher_argv
from tui.backup.chain import Place, place_of, read_guest
from tui.backup.folder import VOID, result_folder
from tui.backup.plan import BackupPlan, PlannedDisk, QuiescePolicy, pool_name
from tui.backup.proof import prove
from tui.backup.propose import propose
from tui.backup.quiesce import is_frozen
from tui.backup.runs import Run, open_run, runs_folder, worker_alive, worker_pid
from tui.backup.scan import find_leftovers
from tui.backup.session import HostSession, Patience
from tui.backup.source import SourceWish
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import MIB, SYSTEM_DISK_SIZE, DiskFormat, DiskRole, DiskSpec, GuestSpec
from tui.model.disk import Disk

SPEC = GuestSpec(
    "kill1",
    disks=(DiskSpec(DiskFormat.QCOW2, SYSTEM_DISK_SIZE), DiskSpec(DiskFormat.RAW, 48 * MIB, DiskRole.DATA)),
    writer=True,
)
LOGS = ("/writes.log", "/data/writes.log")
LONG_S = 240.0


class Blow(StrEnum):
    """What is killed."""

    APP = "app"
    WORKER = "worker"
    LIBVIRTD = "libvirtd"
    QEMU = "qemu"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one cell: problems in words, none where all is well; `copy` is good or void."""

    moment: str
    blow: Blow
    copy: str
    problems: tuple[str, ...]


async def run_cell(
    lab: Laboratory, target: Path, moment: str, blow: Blow, source: SourceWish = SourceWish.AUTO
) -> Cell:
    """Stop a backup of SPEC's guest at `moment`, deal the blow, rescue from the command line, look at everything."""
    host = connect(lab.uri)
    await host.open()
    facts = next(each for each in await host.list_domains() if each.name == SPEC.name)
    plan = (await propose(host, facts, target, quiesce=QuiescePolicy.REQUIRED, source=source)).plan
    await host.close()
    (target / "plan.json").write_text(plan.to_json())
    app = await asyncio.create_subprocess_exec(
        *launcher_argv(moment, target / "plan.json"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    if app.stdout is None or await app.stdout.readline() != b"launched\n":
        raise AssertionError("the launcher did not launch")
    run = open_run(runs_folder() / plan.run_id)
    before = {log: await written(lab, log) for log in LOGS}
    if moment == "reviving":
        await until(lambda: (run.folder / "progress.jsonl").exists() and "copy" in _text(run.folder / "progress.jsonl"))
        await lab.virsh("destroy", SPEC.name)
    await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
    if not (run.folder / HELD).exists():
        raise AssertionError(f"{moment} never came: {_text(run.folder / 'worker.log')}")
    await deal(lab, run, app, blow)
    (run.folder / GO).touch()
    await until(lambda: not worker_alive(run))
    if app.returncode is None:
        app.kill()
    await app.wait()
    code, said = await rescue_by_hand(lab)
    problems = [f"rescue exited with {code}: {said}"] if code != 0 else []
    if (await lab.virsh("domstate", SPEC.name)).strip() == "shut off":
        problems += await images_unsound(plan)
        await lab.start(SPEC.name)
    else:
        problems += await running_images_unsound(lab, plan)
    await lab.wait_for_agent(SPEC.name)
    problems += await what_is_wrong(lab, plan, before)
    copy, trouble = await copy_of(plan)
    return Cell(moment, blow, copy, (*problems, *trouble))


async def deal(lab: Laboratory, run: Run, app: asyncio.subprocess.Process, blow: Blow) -> None:
    everything = blow is Blow.ALL
    if blow is Blow.APP or everything:
        app.send_signal(signal.SIGHUP)
        await app.wait()
    if blow is Blow.WORKER or everything:
        pid = worker_pid(run)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            await until(lambda: not worker_alive(run))
    if blow is Blow.LIBVIRTD or everything:
        await lab.kill_daemon()
    if blow is Blow.QEMU or everything:
        pid_file = lab.folder / "r/libvirt/qemu/run" / f"{SPEC.name}.pid"
        if pid_file.exists():
            qemu = int(pid_file.read_text())
            os.kill(qemu, signal.SIGKILL)
            await until(lambda: not Path(f"/proc/{qemu}").exists())
    if blow is Blow.LIBVIRTD or everything:
        await lab.start_daemon()
    if blow is Blow.QEMU:
        await lab.wait_for_power(SPEC.name, "shut off")


async def rescue_by_hand(lab: Laboratory, *more: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui", "-c", lab.uri, "rescue", "--apply", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def what_is_wrong(lab: Laboratory, plan: BackupPlan, before: dict[str, list[int]]) -> list[str]:
    host = connect(lab.uri)
    session = HostSession(connect, lab.uri, Patience())
    await host.open()
    try:
        wrong = [*await _definitions(session, plan), *await _around(host, plan), *await _writes(lab, before)]
        pools = (await lab.virsh("pool-list", "--all", "--name")).split()
        return wrong + [f"the pool {name} is still there" for name in pools if name.startswith(pool_name(plan))]
    finally:
        await session.close()
        await host.close()


async def _definitions(session: HostSession, plan: BackupPlan) -> list[str]:
    view = await read_guest(session, plan.uuid)
    wrong = [f"{d.target} runs on {view.live[d.target].source}" for d in plan.disks if not _home(view.live, d)]
    return wrong + [f"{d.target} is stored on another image" for d in plan.disks if not _home(view.stored, d)]


def _home(disks: dict[str, Disk], disk: PlannedDisk) -> bool:
    return place_of(disks[disk.target], disk) is Place.BASE


async def _around(host: Host, plan: BackupPlan) -> list[str]:
    wrong = [f"stray {path.name}" for path in Path(plan.disks[0].base).parent.iterdir() if "qgatui" in path.name]
    if await host.run_metadata(plan.uuid) is not None:
        wrong.append("the mark is still there")
    if await is_frozen(host.probe_line(plan.uuid)):
        wrong.append("the guest is frozen")
    if left := await find_leftovers(host, (plan.uuid,)):
        wrong.append(f"still found: {left[0].title}")
    return wrong


async def _writes(lab: Laboratory, before: dict[str, list[int]]) -> list[str]:
    wrong: list[str] = []
    for log in LOGS:
        now = await written(lab, log)
        if now != list(range(now[0], now[0] + len(now))):
            wrong.append(f"{log} has gaps")
        if now[: len(before[log])] != before[log]:
            wrong.append(f"{log} lost lines")
    return wrong


async def written(lab: Laboratory, log: str) -> list[int]:
    lines = (await lab.shell(SPEC.name, f"cat {log}")).output.splitlines()
    return [int(line.split()[0]) for line in lines if re.fullmatch(r"\d+ [\d.]+", line.strip("\0"))]


async def running_images_unsound(lab: Laboratory, plan: BackupPlan) -> list[str]:
    """The same of a guest that runs: its memory is kept meanwhile, which spares it the boot and loses none of it."""
    await lab.virsh("managedsave", SPEC.name)
    unsound = await images_unsound(plan)
    await lab.start(SPEC.name)
    return unsound


async def images_unsound(plan: BackupPlan) -> list[str]:
    """What is broken in the images of a guest that is off."""
    wrong: list[str] = []
    for disk in plan.disks:
        if disk.format == "raw":
            continue
        process = await asyncio.create_subprocess_exec(
            *("qemu-img", "check", "-q", disk.base), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        # 3: clusters leaked and nothing worse, as after every power cut.
        if process.returncode not in (0, 3):
            wrong.append(f"{disk.target}: {out.decode()}")
    return wrong


async def copy_of(plan: BackupPlan) -> tuple[str, list[str]]:
    """Whether the copy is good or void, and what is wrong where it is neither."""
    folder = result_folder(plan)
    if folder.final.is_dir():
        proof = await prove(folder.final)
        return ("good", []) if proof.is_good else ("bad", list(proof.problems))
    if not folder.partial.is_dir() or (folder.partial / VOID).exists():
        return "void", []
    return "open", ["the copy is neither good nor void"]


async def until(condition: Callable[[], bool]) -> None:
    """Another process brings the condition about: there is no event to await here."""
    async with asyncio.timeout(LONG_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _text(path: Path) -> str:
    return path.read_text(errors="replace")


def table(cells: list[Cell]) -> str:
    """The matrix in text, a row for each moment, with counts and the problems below."""
    blows = list(dict.fromkeys(cell.blow for cell in cells))
    lines = [f"{'moment':<16}" + "".join(f"{blow:<10}" for blow in blows)]
    for moment in dict.fromkeys(cell.moment for cell in cells):
        row = {cell.blow: cell for cell in cells if cell.moment == moment}
        words = (f"{'LOST' if row[b].problems else row[b].copy:<10}" if b in row else f"{'-':<10}" for b in blows)
        lines.append(f"{moment:<16}" + "".join(words))
    well = [cell for cell in cells if not cell.problems]
    good = sum(cell.copy == "good" for cell in well)
    lines.append(f"{len(well)} of {len(cells)} cells are well: {good} copies good, {len(well) - good} void")
    lines += [f"{cell.moment} x {cell.blow}: {problem}" for cell in cells for problem in cell.problems]
    return "\n".join(lines)
