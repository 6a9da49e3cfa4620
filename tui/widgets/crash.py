"""An app whose crash is told to the log, in full, and not to the terminal, whatever bytes of a guest are part of it."""

from __future__ import annotations

import logging

from textual.app import App
from textual.worker import WorkerFailed

logger = logging.getLogger(__name__)


class TellingApp(App[None]):
    """Whatever ends it unexpectedly, in a handler or in a worker, is `crash`; the first one counts."""

    crash: BaseException | None = None

    def _handle_exception(self, error: Exception) -> None:
        met = error.error if isinstance(error, WorkerFailed) else error
        self.crash = self.crash or met
        logger.critical("internal error: the program ends", exc_info=met)
        super()._handle_exception(error)

    def _print_error_renderables(self) -> None:
        """The traceback with its local values is for the log alone; other last words go to the terminal."""
        if self.crash is None:
            super()._print_error_renderables()
