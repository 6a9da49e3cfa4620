"""A restore of one 4 GB disk, half of it data, as a clone: ours against `cp` and `virsh define` by hand."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from tests.bench.images import GIB, SIZE, level, make_image
from tests.bench.place import own_target
from tests.live.restoring import NAME, SPEC, back_up, restored
from tui.backup.restore.saved import read_saved
from tui.backup.restore.wishes import Wishes
from tui.cli.workers import connect
from tui.hosts.port import Host
from tui.lab.laboratory import Laboratory
from tui.lab.spec import DiskFormat, DiskRole, DiskSpec

ROUNDS = 3
BIG = replace(
    SPEC, disks=(DiskSpec(DiskFormat.QCOW2), DiskSpec(DiskFormat.RAW, SIZE, DiskRole.BLANK)), start=False, writer=False
)


async def ours(lab: Laboratory, host: Host, folder: Path) -> float:
    """Seconds from the order to the end: verify, copy with sums, define, read back."""
    level(*(folder / "disks").iterdir())
    began = time.monotonic()
    state = await restored(host, folder, Wishes(name="ours"))
    taken = time.monotonic() - began
    await lab.virsh("undefine", "ours")
    shutil.rmtree(state.result)
    return taken


async def by_hand(lab: Laboratory, folder: Path, *, verified: bool) -> float:
    """Seconds for the commands of RESTORE.md; without its check unless `verified`."""
    level(*(folder / "disks").iterdir())
    place = lab.disk(NAME, "vda").parent / "by-hand"
    clone = read_saved(folder).clone_xml.replace(f"{NAME}-restored", "by-hand").replace("@DISKS@", str(place))
    began = time.monotonic()
    if verified:
        await run("sha256sum", "-c", "--quiet", "SHA256SUMS", cwd=folder)
    place.mkdir(mode=0o711)
    for disk in sorted((folder / "disks").iterdir()):
        await run("cp", "--sparse=always", str(disk), str(place / disk.name))
        await run("sync", str(place / disk.name))
    definition = lab.folder / "by-hand.xml"
    definition.write_text(clone)
    await lab.virsh("define", str(definition))
    taken = time.monotonic() - began
    await lab.virsh("undefine", "by-hand")
    shutil.rmtree(place)
    return taken


async def run(*argv: str, cwd: Path | None = None) -> None:
    """Run a program that has to succeed."""
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd)
    if await process.wait() != 0:
        raise AssertionError(f"{argv[0]} failed")


async def measure(target: Path) -> None:
    """Print the table and the ratios."""
    async with Laboratory() as lab:
        await lab.add(BIG)
        make_image(lab.disk(NAME, "vdb"))
        host = connect(lab.uri)
        await host.open()
        folder = await back_up(host, target)
        ways: tuple[Callable[[], Awaitable[float]], ...] = (
            lambda: ours(lab, host, folder),
            lambda: by_hand(lab, folder, verified=False),
            lambda: by_hand(lab, folder, verified=True),
        )
        rounds = [[await way() for way in ways] for _ in range(ROUNDS)]
        mine, plain, checked = (statistics.median(each) for each in zip(*rounds, strict=True))
        await host.close()
    for title, taken in (
        ("qga-tui restore (verify, copy with sums, define, read back)", mine),
        ("cp --sparse=always, sync, virsh define", plain),
        ("sha256sum -c, cp --sparse=always, sync, virsh define", checked),
    ):
        sys.stdout.write(f"{title:<62}{taken:7.2f} s  {SIZE / 2 / taken / 1e6:6.0f} MB/s of data\n")
    sys.stdout.write(f"{SIZE // GIB} GB, speed against cp and define: {plain / mine:.2f}\n")
    sys.stdout.write(f"speed against the same with its check: {checked / mine:.2f} (aim: over 1)\n")


def main() -> None:
    """Measure in folders of its own."""
    with own_target("/var/tmp") as target:
        asyncio.run(measure(target))


if __name__ == "__main__":
    main()
