"""What speaks against the places that the files of a restore go to. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from tui.backup.chain import disks_by_target
from tui.backup.image_names import plain
from tui.backup.nvram import nvram_path
from tui.backup.plan import DiskKind
from tui.backup.restore.circumstances import Circumstances, PlaceEvidence
from tui.backup.restore.findings_tpm import is_place_of_state
from tui.backup.restore.naming import NAME_MAX, images_of, name_among_images
from tui.backup.restore.plan import (
    NVRAM_NAME,
    TPM_NAME,
    Change,
    ChangeKind,
    RestoredFile,
    RestorePlan,
    RestoreWay,
)
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Finding, Fix, Wishes, failed, passed, warned
from tui.model.quantities import size

_BESIDE_DISKS = {NVRAM_NAME: "UEFI variables", TPM_NAME: "TPM"}


def place_findings(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    """One finding for each place; what is in the way of a file has its next step."""
    for place in now.places:
        file = place.file
        title = _BESIDE_DISKS.get(file.name, f"Disk {file.name}")
        why = _objection(place, saved, plan)
        if why:
            fixes = _into_file(file, saved, plan, wishes) if _is_better_a_file(place, plan) else ()
            yield failed(title, f"{file.to}: {why[0]}", why[1], *fixes)
            continue
        data = f"{size(file.data_bytes)} of data" if file.is_disk else "the copy"
        moved = f"; what is there is moved to {Path(file.aside).name}" if file.aside else ""
        yield passed(title, f"{data} to {file.to}{moved}")
    if plan.way is RestoreWay.IN_PLACE and not plan.chosen and saved.left_out:
        yield warned("Other disks", f"not in the backup, and left as they are: {', '.join(saved.left_out)}")


def would_replace_device(file: RestoredFile, plan: RestorePlan) -> bool:
    """Whether a block device would be replaced."""
    on_device = file.is_device or file.kind is DiskKind.BLOCK
    return plan.way is RestoreWay.IN_PLACE and on_device and file.name not in plan.into_files


def _is_better_a_file(place: PlaceEvidence, plan: RestorePlan) -> bool:
    """Whether a disk can be restored as a file elsewhere: its place is a device, or was one and is in memory now."""
    if plan.way is not RestoreWay.IN_PLACE or not place.file.is_disk or place.file.name in plan.into_files:
        return False
    return would_replace_device(place.file, plan) or bool(place.in_memory)


def _into_file(file: RestoredFile, saved: SavedBackup, plan: RestorePlan, wishes: Wishes) -> tuple[Fix, ...]:
    """The disk as a file: the device keeps what it holds now, and the restore can be undone."""
    (disk,) = (disk for disk in saved.disks if disk.target == file.name)
    path = f"{images_of(saved)}/{name_among_images(saved, disk, plan.run_id)}"
    change = Change(ChangeKind.FILE, file.name, path)
    label = f"Restore {file.name} as a file, {path}; the device stays as it is"
    return (Fix(label, f"--change {quote(change.word)}", wishes.with_change(change)),)


def _objection(place: PlaceEvidence, saved: SavedBackup, plan: RestorePlan) -> tuple[str, str] | None:
    file = place.file
    longest = max(len(os.fsencode(Path(name).name)) for name in (file.partial, file.aside or file.to))
    trouble = (
        (
            would_replace_device(file, plan),
            "a block device cannot be moved aside, and what it holds now is not written over",
            "Restore it as a file, as is offered; or as a clone, or this disk alone to a path.",
        ),
        (
            plan.way is RestoreWay.IN_PLACE
            and plan.defines
            and file.name not in plan.into_files
            and not _is_named(file, saved),
            "the backup's own definitions have it elsewhere: its manifest was changed",
            "Restore as a clone, or this disk alone to a path.",
        ),
        (
            bool(place.in_memory),
            f"it lies in the host's memory ({place.in_memory}) and is gone with the next start of the host",
            "Choose a place on a disk.",
        ),
        (place.is_in_backup, "it is in the folder of a backup", "Choose another place."),
        (place.folder is None, "there is no such folder", "Make or mount it, or choose another one: --to FOLDER."),
        (place.folder is not None and not place.folder.writable, "this user may not write there", "Be root."),
        (place.exists and not file.aside, "there is something by that name", "Choose another place, or move it."),
        (bool(file.aside) and not place.exists, "the image that was there is gone", "Plan anew."),
        (place.holds_more, "it holds more than the state of a TPM", "Restore as a clone."),
        (bool(place.taken_names), f"{', '.join(place.taken_names)} exists already", "Plan anew."),
        (bool(place.users), f"{', '.join(place.users)} uses it, too", "Restore as a clone."),
        (longest > NAME_MAX, "the name is too long to move it aside", "Restore as a clone."),
    )
    return next(((why, next_step) for holds, why, next_step in trouble if holds), None)


def _is_named(file: RestoredFile, saved: SavedBackup) -> bool:
    """Whether a definition in the backup names the place, too; a volume's path stands in none."""
    definitions = [xml for xml in (saved.stored_xml, saved.live_xml) if xml]
    if file.is_folder:
        return is_place_of_state(file, saved, definitions)
    if not file.is_disk:
        return (file.named or file.to) in map(nvram_path, definitions)
    if file.kind is DiskKind.VOLUME:
        return True
    named = [disks_by_target(xml).get(file.name) for xml in definitions]
    sources = [plain(name) for disk in named if disk is not None for name in (disk.source, *disk.backing)]
    return plain(file.named or file.to) in sources
