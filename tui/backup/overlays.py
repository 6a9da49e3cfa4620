"""Looking at the overlays of a plan: which are there, and which hold nothing of their own. Read-only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tui.backup.plan import BackupPlan, new_run_id
from tui.backup.source import passing_reach
from tui.hosts.lanes import apart
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.same_files import are_here


@dataclass(frozen=True, slots=True)
class Overlays:
    """Targets whose overlay is there, and those whose overlay holds nothing of its own, or is not there."""

    there: frozenset[str]
    empty: frozenset[str]


async def look_at_overlays(host: Host, plan: BackupPlan, *, may_ask: bool) -> Overlays:
    """Look at the overlays of a plan; with `may_ask`, over the plan's own way where this user sees nothing.

    An overlay that cannot be looked at counts as one that is there and holds something.
    """
    everything = frozenset(disk.target for disk in plan.disks)
    if not may_ask:
        gone = await apart(_missing, plan) if await are_here(host, overlay_paths(plan)) else frozenset()
        return Overlays(everything - gone, frozenset())
    # A pool that this look needs is not the run's: that one's worker may live.
    reach = passing_reach(host, plan, f"-look-{new_run_id()}")
    try:
        try:
            there = [disk.target for disk in plan.disks if await reach.exists(disk.overlay)]
            empty = [disk.target for disk in plan.disks if await reach.holds_nothing(disk.overlay)]
        finally:
            await reach.close()
    except HostUnreachableError:
        raise
    except HostError:
        return Overlays(everything, frozenset())
    return Overlays(frozenset(there), frozenset(empty))


def overlay_paths(plan: BackupPlan) -> tuple[str, ...]:
    """Where the overlays of a plan are."""
    return tuple(disk.overlay for disk in plan.disks)


def _missing(plan: BackupPlan) -> frozenset[str]:
    """Targets whose overlay is gone for certain: on this machine, in a folder that this user may look into."""
    return frozenset(disk.target for disk in plan.disks if _is_gone(Path(disk.overlay)))


def _is_gone(path: Path) -> bool:
    try:
        # Where not even the folder is seen, as out of a container, nothing is known of what is in it.
        if path.parent.is_dir():
            path.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def visible(plan: BackupPlan) -> frozenset[str]:
    """Targets whose overlay this user sees; blocks."""
    return frozenset(disk.target for disk in plan.disks if os.path.lexists(disk.overlay))
