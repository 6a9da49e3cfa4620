"""The folder that the last backup of a host went to, kept between runs: it is offered first for the next one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from tui import settings
from tui.backup.durable import read_text, replace_file
from tui.backup.values import a_path

SIZE_LIMIT = 100_000
"""Characters of the file; it is a line per host."""
logger = logging.getLogger(__name__)


def last_targets_path() -> Path:
    """Where they are kept."""
    return settings.state_folder() / "backup-folders.json"


def last_target(host_name: str) -> Path | None:
    """The folder of the host's last backup; None where there was none or it cannot be read."""
    folder = _kept().get(host_name)
    return None if folder is None else Path(folder)


def keep_target(host_names: Iterable[str], folder: Path) -> None:
    """Keep a folder for the next backup of each of the hosts; without a place to write it is just not kept."""
    kept = {**_kept(), **dict.fromkeys(host_names, str(folder))}
    path = last_targets_path()
    try:
        settings.private_folder(path.parent)
        replace_file(path, json.dumps(kept))
    except OSError as error:
        logger.warning("the folder of the backup could not be kept: %s", error)


def _kept() -> dict[str, str]:
    try:
        raw = json.loads(read_text(last_targets_path(), SIZE_LIMIT))
        return {str(name): a_path(folder) for name, folder in raw.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        logger.warning("the folders of the last backups cannot be read: %s", error)
        return {}
