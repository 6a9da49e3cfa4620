"""The orders to a backup that runs: what may be ordered now, the questions, and the order to its process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App

from tui.backup.errors import BackupError
from tui.backup.runs import AnyRun
from tui.backup.runstate import RunState
from tui.backup.steering import change_rate, may_change_rate, may_settle, settle
from tui.model.quantities import a_rate
from tui.model.text import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.line import LineScreen

ORDERS = frozenset({"cancel", "limit", "settle"})
"""The actions that give a run an order."""


def orders_for(state: RunState | None) -> frozenset[str]:
    """The orders that mean something to a run now; a merge can be helped while the run is being cancelled, too."""
    if state is None or state.ended:
        return frozenset()
    goes_on = state.cancelling_since is None
    may = {"cancel": goes_on, "limit": goes_on and state.way is None and may_change_rate(state)}
    return frozenset(name for name, holds in {**may, "settle": may_settle(state)}.items() if holds)


def ask_for_rate(app: App[Any], run: AnyRun) -> None:
    """Ask for the rate of the run's copy, have it changed, and tell what holds now or why nothing was changed."""

    def chosen(typed: str | None) -> None:
        if not typed:
            return
        try:
            bytes_s = a_rate(typed)
        except ValueError as error:
            app.notify(printable(str(error)), title="The rate was not changed", severity="warning", markup=False)
        else:
            _give(app, lambda: change_rate(run, bytes_s))

    question = f"At most how many MB/s for the copy of {run.plan.guest}? 0 is no limit."
    app.push_screen(LineScreen(printable(question), example="20"), chosen)


def ask_to_settle(app: App[Any], run: AnyRun) -> None:
    """Ask whether to pause the guest until its disks are merged, and have it done."""
    guest = run.plan.guest

    async def pause() -> str:
        await settle(run)
        return f"{guest} is paused until its disks are merged, then goes on by itself"

    def chosen(wanted: bool | None) -> None:
        if wanted:
            _give(app, pause)

    question = ConfirmScreen(
        printable(f"Pause {guest} until its disks are merged?"),
        printable("It does nothing meanwhile, and goes on by itself. Needed only where the merge does not gain."),
        yes=printable("Pause the guest"),
        no=printable("Let it run"),
    )
    app.push_screen(question, chosen)


def _give(app: App[Any], give: Callable[[], Awaitable[str]]) -> None:
    async def tell() -> None:
        try:
            app.notify(printable(await give()), markup=False)
        except (BackupError, OSError) as error:
            words = error.one_line() if isinstance(error, BackupError) else str(error)
            app.notify(printable(words), title="The order was not taken", severity="error", markup=False, timeout=15)

    app.run_worker(tell(), group="orders")
