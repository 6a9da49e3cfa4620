"""The question before a backup or a restore is ended, and the order to its process."""

from __future__ import annotations

import signal
from typing import Any

from textual.app import App

from tui.backup.runs import AnyRun, RestoreRun, cancel
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen


def ask_to_cancel(app: App[Any], run: AnyRun, *, waits: bool = False) -> None:
    """Ask, say what becomes of the guest, and tell the run's process; what has ended meanwhile is left alone.

    `waits` is whether the run's turn has not come yet.
    """
    kind, guest, leave = "backup", run.plan.guest, "Let it run"
    consequence = "The guest's writes are merged back into its disks; the copy made so far is given up."
    if waits:
        consequence, leave = "It has not begun: nothing happened to the guest. The other backups go on.", "Let it wait"
    elif isinstance(run, RestoreRun):
        kind, guest = "restore", run.plan.source
        consequence = "What was written is removed; everything is as before."

    def order(wanted: bool | None) -> None:
        if wanted and not cancel(run, signal.SIGTERM):
            app.notify(f"The {kind} has ended already.", markup=False)

    question = ConfirmScreen(
        printable(f"Cancel the {kind} of {guest}?"),
        printable(consequence),
        yes=printable(f"Cancel the {kind}"),
        no=printable(leave),
    )
    app.push_screen(question, order)
