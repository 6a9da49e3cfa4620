"""Which checkpoints of a guest do not fit the images that a restore in place puts back. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.plan import RestorePlan
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Finding, warned


def checkpoint_findings(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    """A warning with the commands that forget them; an undo of the restore needs them, so that it is no step of it.

    An exact copy has the bitmaps of the checkpoints that were there; one that was flattened or changed its format none.
    """
    has_bitmaps = all(disk.format is disk.original_format and not disk.chain for disk in saved.disks)
    lost = [name for name in now.checkpoints if name not in saved.checkpoints or not has_bitmaps]
    if not lost or now.guest is None:
        return
    virsh = f"virsh -c {quote(plan.uri)} checkpoint-delete {quote(now.guest.name)}"
    commands = " && ".join(f"{virsh} {quote(name)} --metadata" for name in lost)
    yield warned(
        "Checkpoints",
        f"the restored images have no bitmap of {', '.join(lost)}: no backup can go on from there",
        f"Once it is restored and stays so: {commands}",
    )
