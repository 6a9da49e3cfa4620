"""Which guests have a backup running, for whoever shows a list of guests; reads only what is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from tui.backup.runs import Run
from tui.backup.runstate import RunState
from tui.backup.seen import SeenRuns

LOOK_EVERY_S = 1.0


def at_work(backups: Mapping[str, RunState], uuid: str) -> bool:
    """Whether one of these backups does something with a guest; one that waits for its turn leaves it alone."""
    state = backups.get(uuid)
    return state is not None and not state.waits_behind


async def running_backups() -> AsyncIterator[Mapping[str, RunState]]:
    """The states of the running backups by the guest's UUID, whenever one of them differs from before."""
    runs = SeenRuns()
    shown: Mapping[str, RunState] = MappingProxyType({})
    while True:
        states = await asyncio.to_thread(_look, runs)
        if states != shown:
            shown = MappingProxyType(states)
            yield shown
        await asyncio.sleep(LOOK_EVERY_S)


def _look(runs: SeenRuns) -> dict[str, RunState]:
    return {seen.state.uuid: seen.state for seen in runs.look() if isinstance(seen.run, Run) and not seen.state.ended}
