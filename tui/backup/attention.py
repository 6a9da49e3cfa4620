"""Which guests have a backup running, for whoever shows a list of guests; reads only what is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

from tui.backup.follow import Follower
from tui.backup.runs import list_runs
from tui.backup.runstate import RunState

LOOK_EVERY_S = 1.0


def at_work(backups: Mapping[str, RunState], uuid: str) -> bool:
    """Whether one of these backups does something with a guest; one that waits for its turn leaves it alone."""
    state = backups.get(uuid)
    return state is not None and not state.waits_behind


async def running_backups() -> AsyncIterator[Mapping[str, RunState]]:
    """The states of the running backups by the guest's UUID, whenever one of them differs from before."""
    followers: dict[str, Follower] = {}
    ended: set[str] = set()
    shown: Mapping[str, RunState] = MappingProxyType({})
    while True:
        states = await asyncio.to_thread(_look, followers, ended)
        if states != shown:
            shown = MappingProxyType(states)
            yield shown
        await asyncio.sleep(LOOK_EVERY_S)


def _look(followers: dict[str, Follower], ended: set[str]) -> dict[str, RunState]:
    for run in list_runs():
        if run.plan.run_id not in ended:
            followers.setdefault(run.plan.run_id, Follower(run))
    states: dict[str, RunState] = {}
    for run_id, follower in tuple(followers.items()):
        state = follower.read()
        if state.ended:
            ended.add(run_id)
            del followers[run_id]
        else:
            states[state.uuid] = state
    return states
