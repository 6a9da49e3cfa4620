"""What became of a guest's disks since the snapshot, asked before they are merged."""

from __future__ import annotations

from collections.abc import Iterable

from tui.backup.disk_set import unasked
from tui.backup.ending import tell_log
from tui.backup.manifest import CopiedDisk
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.backup.session import HostSession
from tui.hosts.port import HostError, NoSuchDomainError
from tui.model.quantities import size

SECTOR = 512


async def resized(session: HostSession, plan: BackupPlan, copies: Iterable[CopiedDisk]) -> tuple[str, ...]:
    """The disks that were given another size while they were on their overlays: the merge keeps it, the copy does not.

    A disk that the guest has no longer has no size.
    """
    told: list[str] = []
    for copy in copies:
        target = copy.target
        try:
            now = await _capacity(session, plan, target)
        except HostError as error:
            tell_log(error)
            continue
        # An image that ends within a sector is rounded up for its guest.
        if abs(now - copy.virtual_bytes) >= SECTOR:
            sides = f"{size(copy.virtual_bytes)} in this backup, {size(now)} in the guest"
            told.append(f"{target} was resized meanwhile: {sides}")
    return tuple(told)


async def _capacity(session: HostSession, plan: BackupPlan, target: str) -> int:
    return (await session.ask(lambda host: host.block_sizes(plan.uuid, target))).capacity


async def taken_along(session: HostSession, plan: BackupPlan) -> tuple[PlannedDisk, ...]:
    """The disks that the run's snapshot put on overlays though it was not asked to; none of a guest that is gone."""
    try:
        facts = await session.ask(lambda host: host.read_domain(plan.uuid))
    except NoSuchDomainError:
        return ()
    return unasked(plan, facts.disks)
