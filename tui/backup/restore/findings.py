"""Whether a restore may begin: circumstances turned into findings, each with what to do about it. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tui.backup.chain import disks_by_target
from tui.backup.manifest import Consistency
from tui.backup.nvram import nvram_path
from tui.backup.plan import DiskKind, is_overlay_name, stamp_words
from tui.backup.preflight_room import MARGIN_BYTES
from tui.backup.restore.chosen import boot_disk_missing, chosen_in_place
from tui.backup.restore.circumstances import Circumstances, Misfit, PlaceEvidence
from tui.backup.restore.findings_checkpoints import checkpoint_findings
from tui.backup.restore.findings_tpm import is_place_of_state, tpm_findings
from tui.backup.restore.naming import NAME_MAX, free_name, images_of, name_among_images, unfit_name
from tui.backup.restore.plan import (
    NVRAM_NAME,
    TPM_NAME,
    Change,
    ChangeKind,
    RestoredFile,
    RestorePlan,
    RestoreWay,
    StopWay,
)
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import Finding, Fix, Wishes, failed, passed, warned
from tui.model.guest import PowerState
from tui.model.quantities import size

_MEANING = {
    Consistency.QUIESCED: "the guest's file systems were frozen at its moment",
    Consistency.PAUSED: "the guest was paused: what only its memory held is not in it",
    Consistency.OFFLINE: "the guest was off",
    Consistency.CRASH: "as after a power cut: the guest was not frozen",
}


_BESIDE_DISKS = {NVRAM_NAME: "UEFI variables", TPM_NAME: "TPM"}


def findings_of(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> tuple[Finding, ...]:
    """All findings in the order a user should read them."""
    return (
        *_backup(saved, plan, now),
        _host(now),
        *_guest(saved, plan, wishes, now),
        *_places(saved, plan, wishes, now),
        *_space(plan, now),
        *_rights(plan, now),
        *(_misfit(misfit, plan, wishes) for misfit in now.misfits),
        *_lost(saved, plan, now),
    )


def _backup(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    if saved.void:
        yield failed("Backup", saved.void, "Choose a finished one.")
        return
    yield passed("Backup", f"{stamp_words(saved.stamp)}, {saved.consistency}: {_MEANING[saved.consistency]}")
    if saved.hostname != now.hostname:
        yield warned("Backup", f"it was made on another machine, {saved.hostname}")
    for disk in saved.disks:
        if disk.problem and any(file.name == disk.target for file in plan.files):
            yield failed(f"Disk {disk.target}", f"{disk.file}: {disk.problem}", "Restore another disk, or find it.")


def _host(now: Circumstances) -> Finding:
    if not now.is_local:
        return failed("Host", "its images are on another machine", "Run the program on that host.")
    if not now.has_qemu_img:
        return failed("Host", "qemu-img is missing", "Install the package qemu-utils (or qemu-img).")
    return passed("Host", "its images are on this machine")


def _guest(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    if now.active_run:
        yield failed("Guest", f"run {now.active_run} works on it", "Wait for it to end.")
    match plan.way:
        case RestoreWay.CLONE | RestoreWay.BOOT_TEST:
            yield _name(plan, wishes, now)
            yield from boot_disk_missing(plan, now)
        case RestoreWay.IN_PLACE:
            yield from _in_place(saved, plan, wishes, now)
            if plan.keeps_definition:
                yield from chosen_in_place(saved, plan, wishes, now)
        case RestoreWay.ATTACH:
            yield _attached(plan, now)
        case RestoreWay.DISK:
            return


def _name(plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Finding:
    unfit = unfit_name(plan.guest)
    if unfit:
        return failed("Name", unfit, "Choose another name: --as NAME.")
    if now.by_name is not None:
        free = free_name(plan.guest, now.taken_names)
        fix = Fix(f"Call it {free}", f"--as {free}", replace(wishes, name=free))
        return failed("Name", f"there is a guest {plan.guest}", "Choose another name.", fix)
    if now.own_folder_exists:
        return failed("Name", f"{plan.own_folder} exists", "Choose another name, or another folder.")
    return passed("Name", f"{plan.guest} is free")


def _in_place(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    guest = now.guest
    if guest is None:
        yield from _absent(plan, wishes, now)
        return
    if guest.name != saved.guest:
        yield warned("Guest", f"it is called {guest.name} by now, and keeps that name")
    if now.managed_save:
        words = "it is off with its memory saved, which fits its present disks alone"
        yield failed("Guest", words, f"Start it, or remove that: virsh managedsave-remove {guest.name}")
    elif guest.power is PowerState.OFF:
        yield passed("Guest", "it is off")
    elif plan.stop is StopWay.NONE:
        yield failed("Guest", f"it is {guest.power}", "It has to be off while its images are changed.", *_stops(wishes))
    else:
        how = "shut down" if plan.stop is StopWay.SHUT_DOWN else "forced off"
        yield warned("Guest", f"it is {guest.power}, and is {how} once the copies are ready")
    if any(is_overlay_name(disk.source) for disk in guest.disks):
        words = "a backup left it on its overlays, which need the present images"
        yield failed("Images", words, f"Bring it home first: qga-tui rescue {guest.name} --apply")
    if now.snapshots:
        yield warned("Snapshots", f"it has {now.snapshots}, which do not fit the restored images")
    yield from checkpoint_findings(saved, plan, now)
    elsewhere = [
        f"{disk.target} on {disk.source}"
        for disk in guest.disks
        for file in plan.disks
        if file.name == disk.target and disk.source_type == "file" and disk.source != file.to
    ]
    if now.standing_on:
        words = f"the guest's present {', '.join(now.standing_on)} lies on an image that would be replaced"
        yield failed("Images", words, "Restore as a clone; or commit that image into its base first.")
    elif elsewhere:
        yield warned("Images", f"the guest uses {', '.join(elsewhere)} by now; that stays there, unused")


def _absent(plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    """The guest is not there; a guest that was to keep its definition has none."""
    if plan.keeps_definition:
        return
    if now.by_name is not None:
        other = f"a guest {plan.guest} is there, but not the one of the backup (UUID {now.by_name.uuid})"
        fix = Fix("Restore as a clone", "--as NAME", replace(wishes, way=RestoreWay.CLONE, name=""))
        yield failed("Guest", other, "Restore it as a clone, or rename the other guest.", fix)
    elif unfit_name(plan.guest):
        yield failed("Guest", unfit_name(plan.guest), "Restore it as a clone: --as NAME.")
    else:
        yield warned("Guest", "it is not on this host (any more); it will be defined", "")


def _stops(wishes: Wishes) -> tuple[Fix, ...]:
    shut_down = Fix("Shut it down", "--stop shutdown", replace(wishes, stop=StopWay.SHUT_DOWN))
    return shut_down, Fix("Force it off", "--stop force", replace(wishes, stop=StopWay.FORCE_OFF))


def _attached(plan: RestorePlan, now: Circumstances) -> Finding:
    if now.guest is None or now.guest.power is not PowerState.RUNNING:
        return failed("Guest", f"{plan.guest} does not run", "Start it first.")
    if now.free_slots is not None and now.free_slots < len(plan.disks):
        words = f"{plan.guest} has room for {now.free_slots} more while it runs (free PCI Express ports)"
        port = "<controller type='pci' model='pcie-root-port'/>"
        return failed("Guest", words, f"Name fewer disks; or add ports to it while it is off (virsh edit): {port}")
    given = ", ".join(f"{disk.name} as {disk.attach_as}" for disk in plan.disks)
    return passed("Guest", f"{plan.guest} runs and gets {given}, read-only")


def _places(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    for place in now.places:
        file = place.file
        title = _BESIDE_DISKS.get(file.name, f"Disk {file.name}")
        why = _objection(place, saved, plan)
        if why:
            fixes = _into_file(file, saved, plan, wishes) if _is_device(file, plan) else ()
            yield failed(title, f"{file.to}: {why[0]}", why[1], *fixes)
            continue
        data = f"{size(file.data_bytes)} of data" if file.is_disk else "the copy"
        moved = f"; what is there is moved to {Path(file.aside).name}" if file.aside else ""
        yield passed(title, f"{data} to {file.to}{moved}")
    if plan.way is RestoreWay.IN_PLACE and not plan.chosen and saved.left_out:
        yield warned("Other disks", f"not in the backup, and left as they are: {', '.join(saved.left_out)}")


def _is_device(file: RestoredFile, plan: RestorePlan) -> bool:
    """Whether a block device would be replaced."""
    return plan.way is RestoreWay.IN_PLACE and file.kind is DiskKind.BLOCK


def _into_file(file: RestoredFile, saved: SavedBackup, plan: RestorePlan, wishes: Wishes) -> tuple[Fix, ...]:
    """The disk as a file: the device keeps what it holds now, and the restore can be undone."""
    (disk,) = (disk for disk in saved.disks if disk.target == file.name)
    path = f"{images_of(saved)}/{name_among_images(saved, disk, plan.run_id)}"
    change = Change(ChangeKind.FILE, file.name, path)
    label = f"Restore {file.name} as a file, {path}; the device stays as it is"
    return (Fix(label, f"--change {quote(change.word)}", _with_change(wishes, change)),)


def _objection(place: PlaceEvidence, saved: SavedBackup, plan: RestorePlan) -> tuple[str, str] | None:
    file = place.file
    longest = max(len(os.fsencode(Path(name).name)) for name in (file.partial, file.aside or file.to))
    trouble = (
        (
            _is_device(file, plan),
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
        return file.to in map(nvram_path, definitions)
    if file.kind is DiskKind.VOLUME:
        return True
    named = [disks_by_target(xml).get(file.name) for xml in definitions]
    return any(disk is not None and file.to in (disk.source, *disk.backing) for disk in named)


def _space(plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    places = [(p.file, p.folder) for p in now.places if p.folder is not None and not _is_device(p.file, plan)]
    for folder in {folder.device: folder for _, folder in places}.values():
        there = [file for file, its_folder in places if its_folder.device == folder.device]
        needed = sum(file.data_bytes for file in there) + MARGIN_BYTES
        words = f"{size(folder.free_bytes)} free, about {size(needed)} needed"
        enough = folder.free_bytes >= needed
        yield passed("Space", words) if enough else failed("Space", words, "Make room, or choose another folder.")


def _rights(plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    others = sorted({file.owner for file in plan.files if file.owner != now.user})
    if now.user != 0 and others:
        words = f"the images were user {others[0]}'s and will be yours"
        yield warned("Rights", words, "libvirt as root sets them right at the guest's start; else: chown.")


def _misfit(misfit: Misfit, plan: RestorePlan, wishes: Wishes) -> Finding:
    change = misfit.change
    answered = next((each for each in plan.changes if change is not None and _is_same_place(each, change)), None)
    if answered is not None:
        return warned(misfit.title, f"{misfit.evidence}; changed: {answered.word}")
    if change is None:
        return failed(misfit.title, misfit.evidence, "Make it, or restore one disk alone.")
    fix = Fix(f"Change it: {change.word}", f"--change {change.word}", _with_change(wishes, change))
    return failed(misfit.title, misfit.evidence, f"Make it, or change the definition: --change {change.word}", fix)


def _is_same_place(one: Change, other: Change) -> bool:
    return (one.kind, one.subject) == (other.kind, other.subject)


def _with_change(wishes: Wishes, change: Change) -> Wishes:
    others = tuple(each for each in wishes.changes if not _is_same_place(each, change))
    return replace(wishes, changes=(*others, change))


def _lost(saved: SavedBackup, plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    """What the restored guest will be without."""
    if plan.keeps_definition:
        return
    for words in saved.missing:
        yield warned("Not in the backup", words)
    if not plan.defines:
        return
    if now.needs.has_nvram and saved.nvram is None:
        yield warned("UEFI variables", "they are not in the backup", "Boot entries may have to be made anew.")
    yield from tpm_findings(saved, plan, now)
    if now.needs.has_hostdev and plan.way is not RestoreWay.IN_PLACE:
        yield warned("Devices", "the host's devices stay with the first guest")
    if plan.way is RestoreWay.IN_PLACE and now.guest is None and saved.autostart:
        yield warned("Autostart", "it was on", f"Set it again: virsh autostart {plan.guest}")
