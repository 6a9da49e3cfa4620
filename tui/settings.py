"""Where the program keeps its files, after the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path

APP = "qga-tui"
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def _base(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # The specification ignores relative values.
    return Path(value) if value.startswith("/") else Path.home() / fallback


def cache_folder() -> Path:
    """What can be made anew: the laboratory's packages and images."""
    return _base("XDG_CACHE_HOME", ".cache") / APP


def state_folder() -> Path:
    """What outlives a run: the log, backup jobs, history."""
    return _base("XDG_STATE_HOME", ".local/state") / APP


def config_folder() -> Path:
    """What the user wrote; read, never rewritten."""
    return _base("XDG_CONFIG_HOME", ".config") / APP


def private_folder(path: Path) -> Path:
    """Make `path` with its parents, open to the user alone, and return it."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return path
