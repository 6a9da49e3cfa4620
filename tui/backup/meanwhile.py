"""What becomes of a guest while its disks are copied: read from its definition and power, at each look. Pure.

Nothing of it is believed for a word of somebody else: an event only brings the next look forward, except where it tells
what no later look can see.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui.backup.away import Absence, absence_of
from tui.backup.chain import Place, place_of
from tui.backup.disk_set import Disks
from tui.backup.errors import BackupError
from tui.backup.image_names import plain
from tui.backup.plan import BackupPlan, PlannedDisk
from tui.model.disk import Disk
from tui.model.guest import DomainFacts, PowerState

PAUSED_BY_IO_ERROR = "disk I/O error"
IO_ERROR = "io-error"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that was seen: `what` names its kind, `words` tell it.

    `is_told` where the result says it, too; `ends_copy` is why the copy has to end, None where it may go on.
    """

    what: str
    words: str
    is_told: bool = False
    ends_copy: BackupError | None = None
    absence: Absence = Absence.NONE


def sightings(plan: BackupPlan, before: Disks, facts: DomainFacts) -> tuple[Sighting, ...]:
    """What differs from a guest that runs on its overlays; `before` are its disks as they were at the snapshot."""
    live = {disk.target: disk for disk in facts.disks}
    found = [*_of_power(plan, facts), *_of_the_domain(plan, facts)]
    found += [each for disk in plan.disks if (each := _of_disk(plan, disk, live, facts.power)) is not None]
    found += [
        Sighting(f"attached {target}", f"{target} was attached, and is not in this backup")
        for target in live
        if target not in before and live[target].device == "disk"
    ]
    return tuple(found)


def migrated(plan: BackupPlan) -> Sighting:
    """The guest left for another host: nobody here sees any more who writes to its images."""
    error = BackupError(
        "The guest was migrated to another host while it was copied",
        cause=f"{plan.guest} runs elsewhere, on its overlays",
        next_step="Back it up on the host on which it runs, once it is on its own disks again.",
    )
    return Sighting("migrated", "the guest was migrated to another host", ends_copy=error, absence=Absence.MIGRATED)


def written_below(disk: PlannedDisk, how: str) -> Sighting:
    """Somebody writes to the image that is copied."""
    error = BackupError(
        "Another program changed the guest's images while they were copied",
        cause=f"{disk.target}: {how}",
        next_step="Let one program at a time work on the guest's disks, and make the backup again.",
    )
    return Sighting(f"written {disk.target}", f"{disk.target}: {how}", ends_copy=error)


def _of_power(plan: BackupPlan, facts: DomainFacts) -> list[Sighting]:
    if facts.power is PowerState.RUNNING:
        return []
    if facts.power is PowerState.PAUSED and facts.power_reason == PAUSED_BY_IO_ERROR:
        error = BackupError(
            "The guest stands still: a write to one of its disks failed",
            cause=f"{plan.guest} is paused ({facts.power_reason})",
            next_step="Make room where its images are, and try again.",
        )
        return [Sighting(IO_ERROR, "the guest was paused by a disk I/O error", ends_copy=error)]
    absence = absence_of(facts.power, facts.power_reason)
    if absence is Absence.MIGRATED:
        return [migrated(plan)]
    reason = f" ({facts.power_reason})" if facts.power_reason else ""
    return [Sighting(f"{facts.power} {facts.power_reason}", f"the guest is {facts.power}{reason}", absence=absence)]


def _of_the_domain(plan: BackupPlan, facts: DomainFacts) -> list[Sighting]:
    found: list[Sighting] = []
    if facts.name != plan.guest:
        found.append(Sighting("renamed", f"the guest was renamed: {plan.guest} is {facts.name} now", is_told=True))
    if not facts.persistent:
        words = "the guest has no stored definition: it is gone once it is off"
        found.append(Sighting("not persistent", words))
    return found


def is_named(disk: PlannedDisk, disks: Disks) -> bool:
    """Whether any disk of a definition is on the overlay or on the base, or lies on them."""
    named = (name for there in disks.values() for name in (there.source, *there.backing))
    return any(disk.is_called(name) or plain(name) == disk.overlay for name in named if name)


def is_detached(disk: PlannedDisk, live: Disks) -> bool:
    """Whether a running definition has neither the disk nor, under another name, its images."""
    return not is_named(disk, live)


def _of_disk(plan: BackupPlan, disk: PlannedDisk, live: Disks, power: PowerState) -> Sighting | None:
    there = live.get(disk.target)
    place = place_of(there, disk)
    if place is Place.OVERLAY:
        return None
    if power is PowerState.OFF:
        words = f"the definition names {_source(there)} for {disk.target}, not its overlay"
        return Sighting(f"redefined {disk.target}", words, is_told=True)
    if place in (Place.MERGING, Place.READY, Place.BASE):
        return written_below(
            disk, "its overlay is merged into it by another program, or it was put back onto its image"
        )
    if is_detached(disk, live):
        words = f"{disk.target} was detached from the guest during the backup"
        return Sighting(f"detached {disk.target}", words, is_told=True)
    if there is not None and disk.overlay in there.backing:
        words = f"another program put {disk.target} on a snapshot of its own: {there.source} lies on its overlay"
        return Sighting(f"overlaid {disk.target}", words, is_told=True)
    if there is not None and there.mirror_job:
        return written_below(disk, f"another program runs a block job ({there.mirror_job}) on it")
    words = f"{disk.target} was put on {_source(there)} by another program"
    return Sighting(f"moved {disk.target}", words, is_told=True)


def _source(disk: Disk | None) -> str:
    return disk.source if disk is not None and disk.source else "no image"
