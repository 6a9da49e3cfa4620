"""What to type to bring a guest's disks back without this program. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from tui.backup.plan import BackupPlan, PlannedDisk


def virsh(plan: BackupPlan, verb: str) -> str:
    """A verb of virsh for the plan's guest."""
    return f"virsh -c {quote(plan.uri)} {verb} {quote(plan.guest)}"


def merge_running(plan: BackupPlan, disk: PlannedDisk) -> str:
    """Merges a disk of a guest that runs."""
    return f"{virsh(plan, 'blockcommit')} {disk.target} --active --shallow --pivot --wait"


def merge_file(disk: PlannedDisk) -> str:
    """Merges an overlay that nothing has open into its base, one level down; it is empty afterwards, which tells so."""
    return f"qemu-img commit -f qcow2 {quote(disk.overlay)}"


def merge_off(plan: BackupPlan, disks: Sequence[PlannedDisk]) -> tuple[str, ...]:
    """Merges disks of a guest that is off, and puts its definition back onto the bases."""
    homes = "; ".join(f"{disk.target}: {' '.join(disk.names[-1:])}, type {disk.format}" for disk in disks)
    return (
        *(merge_file(disk) for disk in disks),
        f"{virsh(plan, 'edit')}  # without <backingStore>, {homes}",
    )


def copy_running(plan: BackupPlan, disk: PlannedDisk) -> str:
    """Copies a disk of a guest that runs to a new image, all of its chain in one file, and switches it there."""
    words = "--format qcow2 --transient-job --wait --pivot"
    return f"{virsh(plan, 'blockcopy')} {disk.target} {quote(f'{disk.overlay}.saved.qcow2')} {words}"


def create(plan: BackupPlan, definition: str) -> tuple[str, ...]:
    """Starts a guest that is gone, where its definition was kept."""
    return (f"virsh -c {quote(plan.uri)} create {quote(definition)}",) if definition else ()
