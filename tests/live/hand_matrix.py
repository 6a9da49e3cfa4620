"""One cell of the matrix of other hands: a backup is stopped at a moment, another works on its guest, all ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from tests.live import held_worker
from tests.live.backup_process import connect
from tests.live.held_worker import GO, HELD, MOMENTS
from tests.live.kill_matrix import LOGS, LONG_S, SPEC, copy_of, rescue_by_hand, until, what_is_wrong, written
from tests.live.second_host import SecondDaemon, migrate
from tui.backup.launch import launch
from tui.backup.plan import BackupPlan, QuiescePolicy
from tui.backup.propose import propose
from tui.backup.runs import Run, worker_alive
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.programs import LabError
from tui.lab.spec import MIB

SIZE = 16 * MIB
HAND_MOMENTS = tuple(moment for moment in MOMENTS if moment not in ("reviving", "done"))


class Hand(StrEnum):
    """What somebody else does."""

    ATTACH = "attach"
    DETACH = "detach"
    RENAME = "rename"
    MIGRATE = "migrate"
    SUSPEND = "suspend"
    RESUME = "resume"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class HandCell:
    """What came of one cell: whether libvirt let it be done, the exit code, the copy, and problems in words."""

    moment: str
    hand: Hand
    done: bool
    code: int | None
    copy: str
    problems: tuple[str, ...]


async def run_hand(lab: Laboratory, there: SecondDaemon | None, target: Path, moment: str, hand: Hand) -> HandCell:
    """Stop a backup of SPEC's guest at `moment`, let the hand work, end it as an admin would, look at everything."""
    image = _extra(lab)
    if hand is Hand.DETACH:
        await _attach(lab, image)
    if hand is Hand.RESUME:
        before_all = {log: await written(lab, log) for log in LOGS}
        await lab.virsh("suspend", SPEC.name)
    host = connect(lab.uri)
    await host.open()
    try:
        run, plan = await _held(host, target, moment)
        before = before_all if hand is Hand.RESUME else {log: await written(lab, log) for log in LOGS}
        done = await _lend(lab, there, target, hand)
        (run.folder / GO).touch()
        await until(lambda: not worker_alive(run))
        code = _exit_code(run)
        problems = await _put_right(lab, there, hand, done=done)
        if code == 3:
            rescued, said = await rescue_by_hand(lab)
            problems += [f"rescue exited with {rescued}: {said}"] if rescued != 0 else []
        problems += await _of_the_disk(host, lab, image, hand)
    finally:
        await host.close()
    await lab.wait_for_agent(SPEC.name)
    own = replace(plan, disks=tuple(disk for disk in plan.disks if disk.target != "vdc"))
    problems += await what_is_wrong(lab, own, before)
    copy, trouble = await copy_of(plan)
    image.unlink()
    return HandCell(moment, hand, done, code, copy, (*problems, *trouble))


async def _held(host: Host, target: Path, moment: str) -> tuple[Run, BackupPlan]:
    facts = next(each for each in await host.list_domains() if each.name == SPEC.name)
    plan = (await propose(host, facts, target, quiesce=QuiescePolicy.PREFERRED)).plan
    run = launch(plan, held_worker.argv(moment))
    await until(lambda: (run.folder / HELD).exists() or not worker_alive(run))
    if not (run.folder / HELD).exists():
        raise AssertionError(f"{moment} never came: {(run.folder / 'worker.log').read_text(errors='replace')}")
    return run, plan


async def _lend(lab: Laboratory, there: SecondDaemon | None, target: Path, hand: Hand) -> bool:
    """Do it; False where libvirt, or the other backup's own checks, refuse it."""
    try:
        if hand is Hand.ATTACH:
            await _attach(lab, _extra_path(lab))
        elif hand is Hand.DETACH:
            twos = "tr '\\0' '\\2' </dev/zero | dd of=/dev/vdc bs=1M seek=3 count=1 iflag=fullblock conv=fsync"
            await lab.shell(SPEC.name, twos, timeout=10)
            await lab.virsh("detach-disk", SPEC.name, "vdc", "--live", "--config")
        elif hand is Hand.RENAME:
            await lab.virsh("domrename", SPEC.name, f"{SPEC.name}-other")
        elif hand is Hand.MIGRATE and there is not None:
            await migrate(lab, SPEC.name, there, "--persistent")
        elif hand is Hand.SUSPEND:
            await lab.virsh("suspend", SPEC.name)
        elif hand is Hand.RESUME:
            await lab.virsh("resume", SPEC.name)
        elif hand is Hand.SECOND:
            return await _second(lab, target) == 0
    except LabError:
        return False
    return True


async def _second(lab: Laboratory, target: Path) -> int:
    """Another user's backup of the same guest."""
    elsewhere = target.parent / "second"
    elsewhere.mkdir(exist_ok=True)
    words = ("-c", lab.uri, "backup", SPEC.name, "--to", str(elsewhere), "--quiesce", "off")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui", *words),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"XDG_STATE_HOME": str(target.parent / "second-state")},
    )
    async with asyncio.timeout(LONG_S):
        return await process.wait()


async def _put_right(lab: Laboratory, there: SecondDaemon | None, hand: Hand, *, done: bool) -> list[str]:
    """Undo what the hand did where the guest has to be looked at as it was; returns what should not be."""
    if hand is Hand.MIGRATE and done and there is not None:
        state = (await lab.virsh("domstate", SPEC.name)).strip()
        words = ("migrate", "--live", "--unsafe", SPEC.name, lab.uri, "--migrateuri", "tcp://127.0.0.1:49932")
        await there.virsh(*words, timeout=LONG_S)
        await there.virsh("undefine", SPEC.name)
        return [] if state == "shut off" else [f"the guest that was migrated is {state} here"]
    if hand is Hand.SUSPEND and done:
        state = (await lab.virsh("domstate", SPEC.name)).strip()
        await lab.virsh("resume", SPEC.name)
        return [] if state == "paused" else [f"the guest that its user paused is {state}"]
    if hand is Hand.RESUME:
        state = (await lab.virsh("domstate", SPEC.name)).strip()
        return [] if state == "running" else [f"the guest that its user resumed is {state}"]
    return []


async def _of_the_disk(host: Host, lab: Laboratory, image: Path, hand: Hand) -> list[str]:
    """What is wrong with the disk that came or went; it is detached where it is there still."""
    facts = next(each for each in await host.list_domains() if each.name == SPEC.name)
    there = {disk.target: disk.source for disk in facts.disks}.get("vdc")
    wrong = [f"vdc is on {there}"] if there not in (None, str(image)) else []
    if there is not None:
        await _detached(host, lab)
    ones = b"\x01" * MIB
    wanted = ones * 3 + (b"\x02" * MIB if hand is Hand.DETACH else ones) + ones * 12
    return wrong if image.read_bytes() == wanted else [*wrong, "vdc lost what was written to it"]


async def _detached(host: Host, lab: Laboratory) -> None:
    scopes = ["--live"]
    if "dev='vdc'" in await lab.virsh("dumpxml", SPEC.name, "--inactive"):
        scopes.append("--config")
    await lab.virsh("detach-disk", SPEC.name, "vdc", *scopes)
    async with asyncio.timeout(LONG_S):
        # The guest gives the disk back in its own time.
        while "dev='vdc'" in await lab.virsh("dumpxml", SPEC.name):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _extra_path(lab: Laboratory) -> Path:
    return lab.folder / "g" / "extra.raw"


def _extra(lab: Laboratory) -> Path:
    image = _extra_path(lab)
    image.write_bytes(b"\x01" * SIZE)
    owner = image.parent.stat()
    shutil.chown(image, owner.st_uid, owner.st_gid)
    return image


async def _attach(lab: Laboratory, image: Path) -> None:
    words = ("--targetbus", "virtio", "--driver", "qemu", "--subdriver", "raw", "--live", "--config")
    await lab.virsh("attach-disk", SPEC.name, str(image), "vdc", *words)


def _exit_code(run: Run) -> int | None:
    from tui.backup.follow import read_state

    return read_state(run).exit_code


def table(cells: list[HandCell]) -> str:
    """The matrix in text, a row for each moment, with counts and the problems below."""
    hands = list(dict.fromkeys(cell.hand for cell in cells))
    lines = [f"{'moment':<16}" + "".join(f"{hand:<12}" for hand in hands)]
    for moment in dict.fromkeys(cell.moment for cell in cells):
        row = {cell.hand: cell for cell in cells if cell.moment == moment}
        lines.append(f"{moment:<16}" + "".join(f"{_words(row.get(hand)):<12}" for hand in hands))
    well = [cell for cell in cells if not cell.problems]
    good = sum(cell.copy == "good" for cell in well)
    lines.append(f"{len(well)} of {len(cells)} cells are well: {good} copies good, {len(well) - good} void or none")
    lines += [f"{cell.moment} x {cell.hand}: {problem}" for cell in cells for problem in cell.problems]
    return "\n".join(lines)


def _words(cell: HandCell | None) -> str:
    if cell is None:
        return "-"
    if cell.problems:
        return "LOST"
    return cell.copy if cell.done else f"({cell.copy})"
