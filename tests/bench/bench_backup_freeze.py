"""The frozen window of a backup as the guest's own log of ticks shows it, against virsh --quiesce.

Twice: with an idle guest, and with one that holds much unwritten data for a slow disk.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.bench.place import own_target
from tests.live import held_worker
from tests.live.backup_process import connect
from tests.live.kill_matrix import SPEC
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.propose import propose
from tui.backup.runstate import EXIT_DONE
from tui.lab.laboratory import Laboratory

ROUNDS = 3
DISKS = ("vda", "vdb")
TICKS = "(while [ ! -e /run/calm ]; do echo $EPOCHREALTIME >>/data/ticks; sleep 0.01; done) >/dev/null 2>&1 &"
SLOW_BYTES_S = 4_000_000
UNWRITTEN = "dd if=/dev/zero of=/data/unwritten bs=1M count=12 2>/dev/null"
LAZY = "; ".join(
    f"echo {value} >/proc/sys/vm/{name}"
    for name, value in (("dirty_background_ratio", 80), ("dirty_ratio", 90), ("dirty_writeback_centisecs", 0))
)
"""The guest's kernel writes nothing out by itself."""

Way = Callable[[Laboratory, Path], Awaitable[None]]


async def silence_ms(lab: Laboratory, target: Path, way: Way, burden: str) -> float:
    """The longest time in which the guest could not write, in milliseconds, while `way` took its snapshot."""
    await lab.shell(SPEC.name, f"{TICKS} sleep 0.3; {burden}")
    await way(lab, target)
    await lab.shell(SPEC.name, "touch /run/calm; sleep 0.1")
    lines = (await lab.shell(SPEC.name, "cat /data/ticks; rm -f /data/ticks /data/unwritten /run/calm; sync")).output
    return max(later - sooner for sooner, later in pairwise([float(line) for line in lines.split()])) * 1000


async def ours(lab: Laboratory, target: Path) -> None:
    host = connect(lab.uri)
    await host.open()
    facts = next(facts for facts in await host.list_domains() if facts.name == SPEC.name)
    run = launch((await propose(host, facts, target)).plan, held_worker.argv("none"))
    code = None
    async for state in follow(run):
        code = state.exit_code
    await host.close()
    if code != EXIT_DONE:
        raise AssertionError((run.folder / "worker.log").read_text())


async def virsh(lab: Laboratory, target: Path) -> None:
    await lab.virsh("snapshot-create-as", SPEC.name, "h", "--disk-only", "--atomic", "--no-metadata", "--quiesce")
    for disk in DISKS:
        await lab.virsh("blockcommit", SPEC.name, disk, "--active", "--shallow", "--pivot", "--wait")
    for path in (lab.folder / "g").iterdir():
        if path.suffix == ".h":
            path.unlink()


async def compare(lab: Laboratory, target: Path, title: str, burden: str, aim: float) -> None:
    """Print the medians of a few rounds of each, by turns, and their ratio."""
    rounds = [[await silence_ms(lab, target, way, burden) for way in (ours, virsh)] for _ in range(ROUNDS)]
    mine, theirs = (median(column) for column in zip(*rounds, strict=True))
    sys.stdout.write(
        f"{title}: the guest could not write for {mine:.0f} ms; with virsh --quiesce {theirs:.0f} ms; "
        f"ratio {mine / theirs:.2f} (aim: at most {aim})\n"
    )
    sys.stdout.flush()


async def measure(target: Path) -> None:
    async with Laboratory() as lab:
        await lab.add(SPEC)
        await lab.wait_for_agent(SPEC.name)
        await compare(lab, target, "idle guest", "true", 1.2)
        await lab.shell(SPEC.name, LAZY)
        await lab.virsh("blkdeviotune", SPEC.name, "vdb", "--write-bytes-sec", str(SLOW_BYTES_S))
        await compare(lab, target, "much unwritten data, slow disk", UNWRITTEN, 0.6)


def main() -> None:
    """Print the ratios."""
    with own_target() as target:
        asyncio.run(measure(target))


if __name__ == "__main__":
    main()
