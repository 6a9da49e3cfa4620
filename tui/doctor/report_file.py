"""A doctor's report as a file of its owner's alone."""

from __future__ import annotations

import time
from pathlib import Path

from tui import settings


def write_report(name: str, report: str) -> Path:
    """Write a report on the guest `name` and return where; raises OSError."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:60].lstrip(".")
    folder = settings.private_folder(settings.state_folder() / "reports")
    path = folder / f"{plain or 'guest'}-{time.strftime('%Y%m%d-%H%M%S')}.md"
    path.touch(settings.PRIVATE_FILE)
    path.write_text(report, encoding="utf-8")
    return path
