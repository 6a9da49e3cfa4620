"""A disk of holes with some data: copy and verification, with the holes' sums taken over and without.

The method: a raw file of HOLES_GIB gibibytes (environment; 64, and 1024 for the disk of 1 TiB) whose 256th part is
data, spread over it in 64 MiB pieces; `copy_file`, then `hash_file` of the copy, as a backup calls them. A file of
holes needs no room, so that the whole length can be measured anywhere. What `sha256sum` says of the copy is compared.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.images import GIB, PIECE
from tui.backup.copying import copy_file, hash_file
from tui.backup.meter import Meter
from tui.backup.sparse_sum import zeros_rate

SIZE = int(os.environ.get("HOLES_GIB", "64")) * GIB


def make_sparse(path: Path) -> None:
    """One piece of data in each 256 pieces."""
    with path.open("wb") as file:
        noise = os.urandom(PIECE)
        for start in range(0, SIZE, 256 * PIECE):
            file.seek(start)
            file.write(noise)
        file.truncate(SIZE)
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    """Print the times."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-", dir="/var/tmp") as name:
        source, copy = Path(name) / "disk.raw", Path(name) / "copy.raw"
        make_sparse(source)
        data = source.stat().st_blocks * 512
        print(f"{SIZE / GIB:.0f} GiB, {data / GIB:.2f} GiB of it data; zeros at {zeros_rate() / GIB:.2f} GiB/s")
        meter = Meter()
        began = time.monotonic()
        digest = copy_file(str(source), str(copy), meter)
        copied = time.monotonic()
        again = hash_file(str(copy), Meter(zeros=meter.zeros))
        verified = time.monotonic()
        alone = hash_file(str(copy), Meter())
        ended = time.monotonic()
        assert digest == again == alone
        kept = len(meter.zeros.marks)
        print(f"copy                                 {copied - began:8.1f} s")
        print(f"verification, holes' sums taken over {verified - copied:8.1f} s ({kept} states kept)")
        print(f"verification without                 {ended - verified:8.1f} s")
        told = subprocess.run(["sha256sum", copy], capture_output=True, check=True, text=True).stdout.split()[0]
        print(f"sha256sum took                       {time.monotonic() - ended:8.1f} s")
        assert told == digest


if __name__ == "__main__":
    main()
