"""Whether a restore may begin: circumstances turned into findings, each with what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tui.backup.manifest import Consistency
from tui.backup.plan import is_overlay_name, stamp_words
from tui.backup.preflight_room import MARGIN_BYTES
from tui.backup.restore.chosen import boot_disk_missing, chosen_in_place
from tui.backup.restore.circumstances import Circumstances
from tui.backup.restore.findings_checkpoints import checkpoint_findings
from tui.backup.restore.findings_places import place_findings, would_replace_device
from tui.backup.restore.findings_private import private_findings
from tui.backup.restore.findings_tpm import tpm_findings
from tui.backup.restore.misfits import Misfit
from tui.backup.restore.naming import free_name, unfit_name
from tui.backup.restore.plan import (
    RestorePlan,
    RestoreWay,
    StopWay,
)
from tui.backup.restore.saved import SavedBackup
from tui.backup.restore.wishes import USERS, Finding, Fix, Wishes, failed, passed, warned
from tui.model.guest import PowerState
from tui.model.quantities import size

_MEANING = {
    Consistency.QUIESCED: "the guest's file systems were frozen at its moment",
    Consistency.PAUSED: "the guest was paused: what only its memory held is not in it",
    Consistency.OFFLINE: "the guest was off",
    Consistency.CRASH: "as after a power cut: the guest was not frozen",
}


def findings_of(saved: SavedBackup, plan: RestorePlan, wishes: Wishes, now: Circumstances) -> tuple[Finding, ...]:
    """All findings in the order a user should read them."""
    return (
        *_backup(saved, plan, now),
        _host(now),
        *_guest(saved, plan, wishes, now),
        *place_findings(saved, plan, wishes, now),
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
        return failed("Host", now.elsewhere, "Run the program on that host, over its own socket.")
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
            yield from private_findings(saved, plan, wishes)
        case RestoreWay.IN_PLACE:
            yield from _in_place(saved, plan, wishes, now)
            yield from _unknown_users(plan, wishes, now)
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


def _unknown_users(plan: RestorePlan, wishes: Wishes, now: Circumstances) -> Iterator[Finding]:
    if not now.unknown_users:
        return
    words = f"it is not known whether other guests' images lie on these: {'; '.join(now.unknown_users)}"
    if USERS in plan.accepted:
        yield warned("Images", f"{words}; as accepted")
        return
    fix = Fix("Accept that this is not known", f"--accept {USERS}", replace(wishes, accepted=(*wishes.accepted, USERS)))
    next_step = f"Have those images readable, restore as a clone, or if none of them does: --accept {USERS}"
    yield failed("Images", words, next_step, fix)


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


def _space(plan: RestorePlan, now: Circumstances) -> Iterator[Finding]:
    places = [(p.file, p.folder) for p in now.places if p.folder is not None and not would_replace_device(p.file, plan)]
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
    answered = next((each for each in plan.changes if change is not None and each.is_about_same(change)), None)
    if answered is not None:
        return warned(misfit.title, f"{misfit.evidence}; changed: {answered.word}")
    if change is None:
        return failed(misfit.title, misfit.evidence, "Make it, or restore one disk alone.")
    fix = Fix(f"Change it: {change.word}", f"--change {change.word}", wishes.with_change(change))
    return failed(misfit.title, misfit.evidence, f"Make it, or change the definition: --change {change.word}", fix)


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
