"""A folder for a benchmark's backups, with state of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_target(parent: str | None = None) -> Iterator[Path]:
    """An empty folder for backups, below `parent`; runs are kept beside it, and workers find this checkout."""
    with tempfile.TemporaryDirectory(prefix="qga-tui-", dir=parent) as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        target = Path(folder) / "backups"
        target.mkdir()
        yield target
