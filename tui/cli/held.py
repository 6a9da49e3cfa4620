"""Which guests must not be disturbed now, for the verbs that speak to agents."""

from __future__ import annotations

from tui.backup.runs import RestoreRun, active_run


def held_by_run(uuid: str) -> str:
    """Which backup or restore works on a guest, in words; empty for none."""
    run = active_run(uuid)
    what = "restore" if isinstance(run, RestoreRun) else "backup"
    return "" if run is None else f"The {what} {run.plan.run_id} is at work on this guest"
