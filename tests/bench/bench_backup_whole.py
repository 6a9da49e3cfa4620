"""A whole backup against the same by hand."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from tests.bench.place import own_target
from tests.live import held_worker
from tests.live.backup_process import connect
from tests.live.kill_matrix import SPEC
from tui.backup.follow import follow
from tui.backup.launch import launch
from tui.backup.propose import propose
from tui.lab.laboratory import Laboratory

ROUNDS = 3
DISKS = ("vda", "vdb")


async def ours(lab: Laboratory, target: Path) -> float:
    """Seconds from the plan to the end."""
    host = connect(lab.uri)
    await host.open()
    facts = next(facts for facts in await host.list_domains() if facts.name == SPEC.name)
    began = time.monotonic()
    run = launch((await propose(host, facts, target)).plan, held_worker.argv("none"))
    async for _ in follow(run):
        pass
    taken = time.monotonic() - began
    await host.close()
    return taken


async def by_hand(lab: Laboratory, target: Path) -> float:
    """Snapshot with --quiesce, cp, blockcommit: what the guide of libvirt says, without checks or sums."""
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
    return taken


async def measure(target: Path) -> None:
    """The best of a few rounds of each, by turns."""
    async with Laboratory() as lab:
        await lab.add(SPEC)
        await lab.wait_for_agent(SPEC.name)
        rounds = [(await ours(lab, target), await by_hand(lab, target)) for _ in range(ROUNDS)]
    whole, hand = (min(column) for column in zip(*rounds, strict=True))
    sys.stdout.write(
        f"whole backup, proven and tidied: {whole:.2f} s; by hand: {hand:.2f} s; ratio {whole / hand:.2f}\n"
    )


def main() -> None:
    """Print the ratios."""
    with own_target() as target:
        asyncio.run(measure(target))


if __name__ == "__main__":
    main()
