"""What a restore has led to, in one sentence."""

from __future__ import annotations

from tui.backup.restore.boot_test import BootNote
from tui.backup.restore.plan import RestorePlan, RestoreWay


def outcome_of(plan: RestorePlan, boot: BootNote | None = None) -> str:
    """What is where now, or what the boot test has shown."""
    match plan.way:
        case RestoreWay.CLONE:
            links = ", its network links down" if plan.link_down else ""
            without = f", without {', '.join(plan.left_out)}" if plan.left_out else ""
            return f"{plan.guest} is defined and off{without}{links}; its images are in {plan.own_folder}"
        case RestoreWay.IN_PLACE:
            kept = any(file.aside for file in plan.files)
            beside = f"; the former images lie beside it (*.before-restore-{plan.run_id})" if kept else ""
            files = "".join(
                f"; {d.name} is {d.to} now, its device as it was" for d in plan.disks if d.name in plan.into_files
            )
            names = ", ".join(disk.name for disk in plan.disks)
            what = f"{names} of {plan.guest} is as it was then, the rest as it is now; it is off"
            whole = f"{plan.guest} is as it was then, and off"
            return f"{what if plan.keeps_definition else whole}{beside}{files}"
        case RestoreWay.DISK:
            return ", ".join(f"{disk.name} is in {disk.to}" for disk in plan.disks)
        case RestoreWay.ATTACH:
            given = ", ".join(f"{disk.name} of {plan.source} as {disk.attach_as}" for disk in plan.disks)
            return f"{plan.guest} has {given}, read-only"
        case RestoreWay.BOOT_TEST:
            if boot is None or not boot.passed:
                return "the clone did not come up; it was removed again"
            return f"it booted and its agent answered after {boot.seconds:.0f} s: {boot.answer}; removed again"
