"""Room for the merge: what is left on the file system that a base really lies on, which may be another's folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

RESERVE = 32 * 1024 * 1024
"""Bytes below which a file system is full for a guest and its backup: a copy is given up, a failed merge waits."""


def is_full(path: str) -> bool:
    """Whether the file behind a path, links followed, lies on a full file system; a device, or one unseen, does not."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return False
        space = os.statvfs(path)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize < RESERVE
