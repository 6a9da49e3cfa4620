"""What is to be known where chosen disks alone are put back into a guest, or made into one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tui.backup.plan import stamp_words
from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.plan import RestorePlan
from tui.backup.restore.present import moved_since, others_of
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import MOMENTS, Finding, Fix, Wishes, failed, passed, warned


def chosen_in_place(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    """How the guest's present disks are to those that take the place of some of them."""
    moved = moved_since(plan, now.present)
    if now.guest is None or moved:
        words = "; ".join(moved) if now.guest is not None else f"there is no {plan.guest} on this host (any more)"
        yield failed("Guest", words, "Plan anew; or restore the whole guest, or its disks to a path.")
        return
    but = f", but for the place of {', '.join(sorted(plan.into_files))}" if plan.into_files else ""
    yield passed("Definition", f"the guest keeps the one it has{but}; UEFI variables, too")
    yield from _elsewhere(saved, plan, now)
    others = others_of(plan, now.present)
    for file in plan.disks:
        users = [disk.target for disk in others if file.to in (disk.source, *disk.backing)]
        if users:
            yield failed(f"Disk {file.name}", f"{', '.join(users)} uses {file.to}, too", "Restore as a clone.")
    if others:
        yield _moments(saved, plan, wishes, ", ".join(disk.target for disk in others))


def _elsewhere(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    was = {disk.target: disk for disk in saved.disks}
    for file in plan.disks:
        then = was.get(file.name)
        if then is None or file.name in plan.into_files:
            continue
        if (then.original, then.original_format) != (file.to, file.to_format):
            words = f"it was {then.original} ({then.original_format}) then, and is {file.to} ({file.to_format}) by now"
            yield warned(f"Disk {file.name}", f"{words}; the copy becomes what it is now")


def _moments(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, others: str) -> Finding:
    names, when = ", ".join(disk.name for disk in plan.disks), stamp_words(saved.stamp)
    mixed = f"{names} of {when}, {others} as now"
    if MOMENTS in plan.accepted:
        return warned("Different moments", f"{mixed}, as accepted")
    label = f"Accept different moments: {mixed}"
    fix = Fix(label, f"--accept {MOMENTS}", replace(wishes, accepted=(*wishes.accepted, MOMENTS)))
    spans = (
        "What lies on several disks (LVM, RAID, a database and its log) breaks by that, and undoing does not mend it."
    )
    return failed(
        "Different moments", mixed, f"{spans} Restore all disks; or, if no such thing: --accept {MOMENTS}", fix
    )


def boot_disk_missing(plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    """Whether a clone is without the disk that its guest boots from."""
    boot = now.needs.boot_disk
    if boot and boot not in {disk.name for disk in plan.disks}:
        words = f"the clone is without {boot}, from which the guest boots"
        yield warned("Boot disk", words, "It may not start before it gets another one.")
