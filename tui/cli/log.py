"""The log file: what went wrong in full, for those who look behind the one line on the terminal."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tui import settings
from tui.model.text import printable

logger = logging.getLogger(__name__)
LOG_BYTES, LOG_GENERATIONS = 1_000_000, 2
MAIN = "qga-tui"
"""The log of the program and of the command line; hidden verbs have their own, named like them."""
_FORM = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_CONTINUED = "\n    "
"""Before each further line of a message, so that no text in it looks like a message of its own."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def log_path(kind: str = MAIN) -> Path:
    """Where the log of a kind of process is."""
    return settings.state_folder() / f"{kind}.log"


def start_log(kind: str = MAIN) -> None:
    """Send the program's log to its file, readable by the user alone; without a writable folder, go without.

    What ends a task that nobody waits for is told by asyncio, and belongs to it.
    """
    logger = logging.getLogger("tui")
    handler: logging.Handler
    try:
        settings.private_folder(log_path(kind).parent)
        handler = PrivateLog(log_path(kind))
        logger.setLevel(logging.INFO)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(PrintableFormatter(_FORM))
    for each in (logger, logging.getLogger("asyncio")):
        each.addHandler(handler)


def tell_of_threads() -> None:
    """Have what ends a thread told in the log, and not on the terminal, on which a screen may be drawn."""
    threading.excepthook = _tell_of_thread


def _tell_of_thread(met: threading.ExceptHookArgs) -> None:
    name = met.thread.name if met.thread is not None else "a thread"
    if met.exc_value is not None:
        logger.error("internal error: %s ended", name, exc_info=met.exc_value)


class PrintableFormatter(logging.Formatter):
    """Messages hold text of guests: no escape sequence of it survives, and none of it begins a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, and the traceback where there is one."""
        lines = super().format(record).expandtabs().split("\n")
        return _CONTINUED.join(printable(line, limit=max(len(line), 1)) for line in lines)


class PrivateLog(RotatingFileHandler):
    """A log that several processes may write, each generation of it open to the user alone.

    Whoever finds it full moves it away, one process at a time; the others go on in the new one.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be opened."""
        super().__init__(
            path, maxBytes=LOG_BYTES, backupCount=LOG_GENERATIONS, encoding="utf-8", errors="backslashreplace"
        )

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, _FLAGS, settings.PRIVATE_FILE)
        return os.fdopen(handle, "a", encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message into the file that has the log's name now."""
        try:
            if self._was_moved():
                self._open_anew()
        except OSError:
            self.handleError(record)
            return
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - the name is logging's
        """Move the full log away unless another process has done so."""
        lock = os.open(f"{self.baseFilename}.lock", _FLAGS, settings.PRIVATE_FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._was_moved():
                self._open_anew()
            else:
                super().doRollover()
        finally:
            os.close(lock)

    def _was_moved(self) -> bool:
        if self.stream is None:
            return False
        try:
            named = Path(self.baseFilename).lstat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(named, os.fstat(self.stream.fileno()))

    def _open_anew(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = self._open()
