"""Copies of one 4 GB image, half of it data: ours with SHA-256 against cp and qemu-img, and a reflink."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tui.backup.copying import copy_file, reflink
from tui.backup.landing import CHUNK
from tui.backup.meter import Meter

GIB = 1024**3
SIZE = 4 * GIB
PIECE = 64 * 1024 * 1024


def make_image(path: Path) -> None:
    """Data and holes by turns, in pieces that are not aligned with our chunks' number."""
    with path.open("wb") as file:
        noise = os.urandom(PIECE)
        for number in range(0, SIZE // PIECE, 2):
            file.seek(number * PIECE)
            file.write(noise)
        file.truncate(SIZE)
        file.flush()
        os.fsync(file.fileno())


def cold(*paths: Path) -> None:
    """Nothing of the files is in memory."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def seconds(work: Callable[[Path], object], image: Path, folder: Path) -> float:
    """How long a copy takes from a cold cache until it is on the disk; the best of two."""
    taken: list[float] = []
    for number in range(2):
        target = folder / f"copy-{number}"
        cold(image)
        began = time.monotonic()
        work(target)
        subprocess.run(["sync", target], check=True)
        taken.append(time.monotonic() - began)
        target.unlink()
    return min(taken)


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

        def hexdigest(self) -> str:
            return ""

    with mock.patch("tui.backup.landing.hashlib.sha256", Free):
        copy_file(str(image), str(target), Meter())


def main() -> None:
    """Print the table and the ratios."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-", dir="/var/tmp") as name:
        folder = Path(name)
        image = folder / "image.raw"
        make_image(image)
        before = resource.getrusage(resource.RUSAGE_SELF)
        ours = seconds(lambda target: copy_file(str(image), str(target), Meter()), image, folder)
        after = resource.getrusage(resource.RUSAGE_SELF)
        bare = seconds(lambda target: without_hash(image, target), image, folder)
        cp = seconds(lambda t: subprocess.run(["cp", "--sparse=always", image, t], check=True), image, folder)
        words = ("qemu-img", "convert", "-W", "-m", "8", "-f", "raw", "-O", "raw")
        convert = seconds(lambda t: subprocess.run([*words, image, t], check=True), image, folder)
        summing = hashing()
        for title, taken in (
            ("exact copy with SHA-256", ours),
            ("the same without SHA-256", bare),
            ("cp --sparse=always", cp),
            ("qemu-img convert -W", convert),
            ("SHA-256 alone, in memory", summing),
        ):
            tell(f"{title:<28}{taken:7.2f} s  {SIZE / 2 / taken / 1e6:7.0f} MB/s of data")
        tell(f"speed against cp: {cp / ours:.2f} (aim: over 1)")
        tell(f"speed against convert -W: {convert / ours:.2f} (aim: 0.5), without hash {convert / bare:.2f} (aim: 0.9)")
        bound = "the hash, which takes the holes, too" if summing > bare else "the disk"
        tell(f"bound by {bound}: sum {summing:.2f} s, reading and writing {bare:.2f} s, all at once {ours:.2f} s")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        tell(f"CPU of our two copies: {cpu:.2f} s; memory at most {after.ru_maxrss / 1024:.0f} MiB")
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
