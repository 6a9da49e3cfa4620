"""Whether a boot test may begin though its guest is without something of the first one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tui.backup.clone_private import taken_out
from tui.backup.restore.plan import RestorePlan, RestoreWay
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Finding, Fix, Wishes, failed, warned

DEVICES = "devices"
"""What is accepted by this name: a boot test without what is the first guest's alone."""


def private_findings(saved: SavedBackup, plan: RestorePlan, wishes: Wishes) -> Iterator[Finding]:
    """Ask first: a system that lacks a folder or a device at its start may wait for it, or come up without its data.

    Raises MalformedXmlError.
    """
    if plan.way is not RestoreWay.BOOT_TEST:
        return
    missed = [each.what for each in taken_out(saved.stored_xml) if each.is_missed]
    if not missed:
        return
    words = f"it starts {', '.join(missed)}"
    if DEVICES in plan.accepted:
        yield warned("Devices", f"{words}, as accepted", "Its system may complain about that.")
        return
    fix = Fix(f"Accept that {words}", f"--accept {DEVICES}", replace(wishes, accepted=(*wishes.accepted, DEVICES)))
    why = "They are the first guest's alone; a system that waits for them may not come up, or do other than it would."
    yield failed("Devices", words, f"{why} To test it so: --accept {DEVICES}", fix)
