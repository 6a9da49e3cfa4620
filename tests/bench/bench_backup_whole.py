"""A whole backup against the same by hand, and the frozen window as the guest feels it against virsh --quiesce."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.live import held_worker
from tests.live.backup_process import connect
from tests.live.kill_matrix import SPEC
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.propose import propose
from tui.lab.laboratory import Laboratory

ROUNDS = 3
DISKS = ("vda", "vdb")
TICKS = "(while [ ! -e /run/calm ]; do echo $EPOCHREALTIME >>/data/ticks; sleep 0.01; done) >/dev/null 2>&1 &"


async def gap_ms(lab: Laboratory) -> float:
    """The longest time in which the guest wrote nothing, in milliseconds; ends the ticking."""
    await lab.shell(SPEC.name, "touch /run/calm; sleep 0.1")
    lines = (await lab.shell(SPEC.name, "cat /data/ticks; rm -f /data/ticks /run/calm")).output.split()
    at = [float(line) for line in lines]
    return max(later - sooner for sooner, later in pairwise(at)) * 1000


async def ours(lab: Laboratory, target: Path) -> tuple[float, float, float]:
    """Seconds, the guest's longest silence in milliseconds, and what the backup itself measured."""
    host = connect(lab.uri)
    await host.open()
    facts = next(facts for facts in await host.list_domains() if facts.name == SPEC.name)
    await lab.shell(SPEC.name, TICKS)
    began = time.monotonic()
    run = launch((await propose(host, facts, target)).plan, held_worker.argv("none"))
    measured = 0.0
    async for state in follow(run):
        measured = state.frozen_ms or measured
    taken = time.monotonic() - began
    await host.close()
    return taken, await gap_ms(lab), measured


async def by_hand(lab: Laboratory, target: Path) -> tuple[float, float]:
    """Snapshot with --quiesce, cp, blockcommit: what the guide of libvirt says, without checks or sums."""
    await lab.shell(SPEC.name, TICKS)
    began = time.monotonic()
    await lab.virsh("snapshot-create-as", SPEC.name, "h", "--disk-only", "--atomic", "--no-metadata", "--quiesce")
    for disk in DISKS:
        await (await asyncio.create_subprocess_exec("cp", "--sparse=always", lab.disk(SPEC.name, disk), target)).wait()
    for disk in DISKS:
        await lab.virsh("blockcommit", SPEC.name, disk, "--active", "--shallow", "--pivot", "--wait")
    taken = time.monotonic() - began
    for path in (lab.folder / "g").iterdir():
        if path.suffix == ".h":
            path.unlink()
    return taken, await gap_ms(lab)


async def measure(target: Path) -> None:
    """The best of a few rounds of each, by turns."""
    async with Laboratory() as lab:
        await lab.add(SPEC)
        await lab.wait_for_agent(SPEC.name)
        rounds = [(await ours(lab, target), await by_hand(lab, target)) for _ in range(ROUNDS)]
    whole, hand = min(a[0] for a, _ in rounds), min(b[0] for _, b in rounds)
    gap, quiesce = min(a[1] for a, _ in rounds), min(b[1] for _, b in rounds)
    measured = min(a[2] for a, _ in rounds)
    sys.stdout.write(
        f"whole backup, proven and tidied: {whole:.2f} s; by hand: {hand:.2f} s; ratio {whole / hand:.2f}\n"
        f"longest silence in the guest: {gap:.0f} ms (the backup itself says {measured:.0f} ms at most); "
        f"with virsh --quiesce: {quiesce:.0f} ms; ratio {gap / quiesce:.2f} (aim: at most 1.2)\n"
    )


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-") as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        target = Path(folder) / "backups"
        target.mkdir()
        asyncio.run(measure(target))


if __name__ == "__main__":
    main()
