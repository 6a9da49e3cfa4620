"""What the user made of the list, kept between runs: columns, their order, the sort, and details beside it or not.

Marks are not kept.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from tui import settings
from tui.fleet import columns
from tui.fleet.view import ListView

SIZE_LIMIT = 100_000
logger = logging.getLogger(__name__)


def kept_view_path() -> Path:
    """Where it is kept."""
    return settings.state_folder() / "guest-list.json"


def load_view() -> ListView:
    """The view of the last run; the default where there is none or it cannot be read."""
    try:
        with kept_view_path().open(encoding="utf-8") as file:
            kept = json.loads(file.read(SIZE_LIMIT))
        keys = tuple(dict.fromkeys(key for key in kept["columns"] if key in columns.ALL))
        sort_by = kept["sort_by"] if kept["sort_by"] in columns.ALL else "name"
        reverse = bool(kept["reverse"])
        beside = bool(kept.get("beside", True))
    except FileNotFoundError:
        return ListView()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("the kept list cannot be read, the default is used: %s", error)
        return ListView()
    missing = tuple(key for key in ("name", "agent") if key not in keys)
    return ListView(columns=missing + keys, sort_by=sort_by, reverse=reverse, beside=beside)


def keep_view(view: ListView) -> None:
    """Keep it for the next run, as one whole file; without a writable folder it is just not kept."""
    path = kept_view_path()
    kept = {"columns": list(view.columns), "sort_by": view.sort_by, "reverse": view.reverse, "beside": view.beside}
    text = json.dumps(kept)
    try:
        settings.private_folder(path.parent)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        logger.warning("the list's columns and sort could not be kept: %s", error)
