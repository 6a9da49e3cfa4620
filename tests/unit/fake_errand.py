"""An errand that only waits, complains and ends, for tests of who begins it."""

from __future__ import annotations

import time
from pathlib import Path

PATIENCE_S = 30.0

FAKE_ERRAND = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "begun").touch()
for percent in (10, 40):
    print(f"doing: merging vda: {percent} %", file=sys.stderr, flush=True)
(folder / "gate").read_text()
print("not thawed: no answer", file=sys.stderr, flush=True)
print("[]", flush=True)
(folder / "done").touch()
"""
"""Waits in its folder for a word in the FIFO `gate`."""


def until_there(path: Path) -> None:
    """Wait for what another process makes; nothing tells us of it."""
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.01)
