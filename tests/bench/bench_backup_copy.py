"""Copies of one 4 GB image, half of it data: ours with SHA-256 against cp and qemu-img, and a reflink."""

from __future__ import annotations

import hashlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.bench.images import GIB, SIZE, level, make_image
from tui.backup.copying import copy_file, reflink
from tui.backup.landing import CHUNK
from tui.backup.meter import Meter

ROUNDS = 5
OURS = "exact copy with SHA-256"
BARE = "the same without SHA-256"
CP = "cp --sparse=always"
CONVERT = "qemu-img convert -W"


def seconds(works: dict[str, Callable[[Path], object]], image: Path, folder: Path) -> dict[str, list[float]]:
    """How long each copy takes until it is on the disk, by turns, each beginning a round once."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(ROUNDS):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            target = folder / f"copy-{number}"
            level(image)
            began = time.monotonic()
            works[name](target)
            subprocess.run(["sync", target], check=True)
            taken[name].append(time.monotonic() - began)
            target.unlink()
    return taken


def hashing() -> float:
    """How long the sum of the image takes on one core at best: every byte of it counts, holes included."""
    piece, digest = bytes(CHUNK), hashlib.sha256()
    sample = SIZE // 8
    began = time.monotonic()
    for _ in range(sample // CHUNK):
        digest.update(piece)
    return (time.monotonic() - began) * SIZE / sample


def without_hash(image: Path, target: Path) -> None:
    """The same walk with a sum that costs nothing."""
    from unittest import mock

    class Free:
        def update(self, piece: bytes) -> None:
            """Nothing is summed up."""

        def digest(self) -> bytes:
            return b""

        def copy(self) -> Free:
            return self

        def hexdigest(self) -> str:
            return ""

    with mock.patch("hashlib.sha256", Free):
        copy_file(str(image), str(target), Meter())


def exact(image: Path, target: Path) -> float:
    """Our copy; returns its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    copy_file(str(image), str(target), Meter())
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table and the ratios."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-", dir="/var/tmp") as name:
        folder = Path(name)
        image = folder / "image.raw"
        make_image(image)
        cpu: list[float] = []
        convert = ("qemu-img", "convert", "-W", "-m", "8", "-f", "raw", "-O", "raw", str(image))
        taken = seconds(
            {
                OURS: lambda target: cpu.append(exact(image, target)),
                BARE: lambda target: without_hash(image, target),
                CP: lambda target: subprocess.run(["cp", "--sparse=always", image, target], check=True),
                CONVERT: lambda target: subprocess.run([*convert, target], check=True),
            },
            image,
            folder,
        )
        median = {title: statistics.median(each) for title, each in taken.items()}
        for title, each in taken.items():
            rate = SIZE / 2 / median[title] / 1e6
            tell(f"{title:<28}{median[title]:7.2f} s ({min(each):.2f} to {max(each):.2f})  {rate:7.0f} MB/s of data")
        summing = hashing()
        tell(f"{'SHA-256 alone, in memory':<28}{summing:7.2f} s")
        tell(f"speed against cp: {median[CP] / median[OURS]:.2f} (aim: over 1)")
        tell(f"speed against convert -W: {median[CONVERT] / median[OURS]:.2f} (aim: 0.5)")
        tell(f"without hash: {median[CONVERT] / median[BARE]:.2f} (aim: 0.9)")
        bound = "the hash, which takes the holes, too" if summing > median[BARE] else "the disk"
        tell(f"bound by {bound}: sum {summing:.2f} s, reading and writing {median[BARE]:.2f} s")
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        tell(f"CPU of a copy of ours: {statistics.median(cpu):.2f} s; memory at most {peak_mib:.0f} MiB")
        image.unlink()
        on_xfs(folder)


def on_xfs(folder: Path) -> None:
    """A reflink on a loop-mounted xfs, or btrfs."""
    disk, place = folder / "xfs.img", folder / "mnt"
    place.mkdir()
    with disk.open("wb") as file:
        file.truncate(6 * GIB)
    try:
        subprocess.run([shutil.which("mkfs.xfs") or "mkfs.btrfs", "-q", disk], check=True)
        subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        tell(f"reflink: not measured, for {error}")
        return
    try:
        make_image(place / "image.raw")
        began = time.monotonic()
        cloned = reflink(str(place / "image.raw"), str(place / "copy.raw"))
        tell(f"reflink: {'done' if cloned else 'refused'} in {time.monotonic() - began:.3f} s (aim: under 1 s)")
    finally:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", place], check=True)


def tell(line: str) -> None:
    """One line of the report."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
