"""The log file: what went wrong in full, for those who look behind the one line on the terminal."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tui import settings

LOG_BYTES, LOG_GENERATIONS = 1_000_000, 2


def log_path() -> Path:
    """Where the log is."""
    return settings.state_folder() / "qga-tui.log"


def start_log() -> None:
    """Send the program's log to its file, readable by the user alone; without a writable folder, go without."""
    path = log_path()
    try:
        settings.private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, settings.PRIVATE_FILE))
        handler = RotatingFileHandler(
            path, maxBytes=LOG_BYTES, backupCount=LOG_GENERATIONS, encoding="utf-8", errors="backslashreplace"
        )
    except OSError:
        logging.getLogger("tui").addHandler(logging.NullHandler())
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("tui")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
