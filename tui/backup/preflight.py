"""Whether a backup may begin: evidence turned into checks, each with what to do about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shlex import quote

from tui.backup.checks import Check, failed, passed, warned
from tui.backup.confinement import bars_late_merge
from tui.backup.evidence import Evidence, ImageEvidence
from tui.backup.mark import owner_words, read_mark
from tui.backup.overlay_place import NAME_ONE
from tui.backup.plan import BackupPlan, DiskKind, ImageFormat, PlannedDisk, QuiescePolicy, Source
from tui.backup.preflight_room import room_checks
from tui.backup.selection import REMOVABLE, DiskChoice, choices_of
from tui.backup.tpm_place import TpmEvidence
from tui.doctor.causes import Cause
from tui.doctor.freezing import FREEZE_NOTE
from tui.doctor.reasons import mend
from tui.model.disk import Disk
from tui.model.guest import PowerState
from tui.model.quantities import size

RED_TITLE = "Not in this backup"
SOURCE_WORDS = {
    Source.FILE: "the images are read as files",
    Source.STREAM: "the images come through libvirt's storage streams, and libvirt removes the overlays",
}


def checks_of(plan: BackupPlan, evidence: Evidence) -> tuple[Check, ...]:
    """All checks of `plan` in the order a user should read them."""
    return (
        _host(plan, evidence),
        _source(plan),
        _power(evidence),
        _other_run(evidence),
        _jobs(evidence),
        *(_image(plan, image, evidence) for image in evidence.images),
        *_left_out(plan, evidence),
        *_red_list(plan, evidence),
        *_media(evidence),
        *_firmware(evidence),
        *_boot_files(evidence),
        *_confinement(evidence),
        *_agent(plan, evidence),
        *_snapshots(evidence),
        *room_checks(plan, evidence),
    )


def _host(plan: BackupPlan, evidence: Evidence) -> Check:
    if not evidence.is_local and plan.source is Source.FILE:
        return failed("Host", evidence.elsewhere, "Take --source stream, or run it on that host.")
    if not evidence.has_qemu_img:
        return failed("Host", "qemu-img is missing", "Install the package qemu-utils (or qemu-img).")
    return passed("Host", "the images are on this machine" if evidence.is_local else evidence.elsewhere)


def _source(plan: BackupPlan) -> Check:
    return passed("Source", f"{SOURCE_WORDS[plan.source]}: {plan.source_reason or 'as planned'}")


def _power(evidence: Evidence) -> Check:
    facts = evidence.facts
    if not facts.persistent and facts.power is PowerState.RUNNING:
        return warned(
            "Guest",
            "running and transient: if it stops meanwhile, its definition is in the backup's folder alone",
            "Define it: virsh dumpxml GUEST, virsh define.",
        )
    if evidence.managed_save:
        return failed(
            "Guest", "off with its memory saved, which fits its disks alone", "Start it, or remove the saved memory."
        )
    if facts.power is PowerState.OFF:
        return passed("Guest", "off: its disks stand still and are copied as they are")
    if facts.power is PowerState.RUNNING:
        return passed("Guest", "running")
    if facts.power is PowerState.PAUSED and facts.power_reason == "paused by a user":
        return warned("Guest", "paused: what only its memory holds is not in the backup", "Resume it first.")
    return failed(
        "Guest", f"{facts.power} {facts.power_reason}".strip(), "Start the guest, or copy its images by hand."
    )


def _other_run(evidence: Evidence) -> Check:
    if evidence.active_run:
        return failed("Other backups", f"run {evidence.active_run} works on this guest", "Wait for it to end.")
    if evidence.mark_is_stale:
        return warned("Other backups", "an earlier run died and left its mark on the guest; it will be replaced")
    owner = read_mark(evidence.mark)
    if owner is not None:
        return failed(
            "Other backups",
            f"the guest is marked, and what marked it may be running: {owner_words(owner, time.time())}",
            "Wait for its end. If no such run works on any host: qga-tui rescue GUEST --apply --confirm GUEST; where "
            "the guest is on its own disks, also: "
            "virsh metadata GUEST --uri https://qga-tui.invalid/backup-run/1 --live --config --remove",
        )
    return passed("Other backups", "none works on this guest")


def _jobs(evidence: Evidence) -> Check:
    busy = [image.disk.target for image in evidence.images if image.has_block_job]
    busy += [disk.target for disk in evidence.facts.disks if disk.mirror_job]
    if busy:
        return failed("Jobs", f"a block job runs on {', '.join(dict.fromkeys(busy))}", "Wait for it, or end it.")
    if evidence.domain_job:
        return failed("Jobs", "a migration, save, dump or backup runs", "Wait for it to end.")
    return passed("Jobs", "no other job runs")


def _image(plan: BackupPlan, image: ImageEvidence, evidence: Evidence) -> Check:
    disk = image.disk
    choice = next((c for c in _choices(evidence) if c.disk.target == disk.target), None)
    header = image.header
    trouble = (
        (choice is None, "the guest has no such disk", "Plan anew."),
        (choice is not None and not choice.possible, choice.reason if choice else "", "Leave the disk out."),
        (
            choice is not None and not disk.is_called(choice.disk.source),
            "the guest uses another image by now",
            "Plan anew.",
        ),
        (bool(image.problem), image.problem, _other_way(plan)),
        (
            disk.format is ImageFormat.QCOW2 and header is None,
            "it is no qcow2 image",
            "Correct the definition's format.",
        ),
        (header is not None and header.external_data, "its data is in another file (data-file)", "Convert the image."),
        (header is not None and header.encrypted, "encrypted images are not supported yet", "Leave the disk out."),
        (
            header is not None and header.has_backing != bool(disk.below),
            *_chain_words(evidence, disk),
        ),
        (
            choice is not None and image.stored_source != choice.disk.source and evidence.facts.persistent,
            f"the stored definition names {image.stored_source or 'no image'}",
            # libvirt compares both as texts, and would leave the stored one on the base.
            f"Make the stored and the running definition name it alike: {choice.disk.source if choice else ''}",
        ),
        (bool(image.shared_with), f"also used by {', '.join(image.shared_with)}", "Give every guest its own image."),
        (image.overlay_exists, f"{disk.overlay} exists already", "Plan anew."),
        (
            image.file_system is not None and bool(image.file_system.volatile),
            f"its overlay would lie in the host's memory ({image.file_system.volatile if image.file_system else ''})",
            NAME_ONE,
        ),
        (
            image.file_system is None or not image.file_system.writable,
            f"{Path(disk.overlay).parent} is not writable, so that the overlay could not be removed",
            f"{_other_way(plan)} {NAME_ONE}",
        ),
    )
    title = f"Disk {disk.target}"
    found = next(((why, next_step) for holds, why, next_step in trouble if holds), None)
    if found is not None:
        return failed(title, f"{disk.base}: {found[0]}", found[1])
    return passed(title, f"{disk.base}, {disk.format}, {size(image.data_bytes)} of data")


def _chain_words(evidence: Evidence, disk: PlannedDisk) -> tuple[str, str]:
    """What is wrong with a chain, and what to do: an image tells it of a guest that is off, else libvirt does."""
    if evidence.facts.power is PowerState.OFF:
        return (
            "what it lies on is not what the plan knows of, or cannot be read",
            f"See what this says: qemu-img info --backing-chain {quote(disk.base)}. Then plan anew.",
        )
    return (
        "its chain is not the one the definition tells of",
        "Start the guest anew, so that libvirt reads the chain.",
    )


def _other_way(plan: BackupPlan) -> str:
    if plan.source is Source.STREAM:
        return "See that libvirt's storage can open the folder (virsh pool-list --all), or run as root."
    return "Take --source stream, or run as the user who owns the images and their folder."


def _choices(evidence: Evidence) -> tuple[DiskChoice, ...]:
    return choices_of(evidence.facts.disks, is_off=evidence.facts.power is PowerState.OFF)


def _left_out_choices(plan: BackupPlan, evidence: Evidence) -> list[DiskChoice]:
    """The disks that the plan leaves out, those whose images were looked at with what was found."""
    found = {each.target: each.reason for each in plan.unfit}
    return [
        replace(choice, reason=choice.reason or found.get(choice.disk.target, ""))
        for choice in _choices(evidence)
        if choice.disk.target in plan.left_out
    ]


def _left_out(plan: BackupPlan, evidence: Evidence) -> Iterator[Check]:
    choices = _left_out_choices(plan, evidence)
    serious = [choice for choice in choices if choice.worth_a_warning and choice.possible]
    unnamed = {disk.target for disk in evidence.facts.disks} - {d.target for d in plan.disks} - set(plan.left_out)
    if unnamed:
        yield failed("Other disks", f"the plan does not know {', '.join(sorted(unnamed))}", "Plan anew.")
    if serious:
        words = "; ".join(f"{choice.disk.target}: not chosen" for choice in serious)
        yield warned("Other disks", f"not in this backup: {words}", "Keep them some other way.")


def red_list(plan: BackupPlan, evidence: Evidence) -> dict[str, str]:
    """What cannot be in the backup though it holds something, by the name to accept it by; with the reason."""
    choices = _left_out_choices(plan, evidence)
    red = {choice.disk.target: choice.reason for choice in choices if choice.worth_a_warning and not choice.possible}
    if evidence.nvram and not evidence.nvram_readable:
        why = "this user may not read" if evidence.is_local else "it is not proven that this machine has"
        red["nvram"] = f"{why} {evidence.nvram}"
    if evidence.tpm is not None:
        red |= _red_tpm(evidence.tpm)
    dropped = [
        f"{image.disk.target}: {', '.join(image.snapshots)}"
        for image in evidence.images
        if image.snapshots and plan.is_converted(image.disk)
    ]
    if dropped:
        how = "compact copy" if plan.compact else "copy that is made of a chain"
        red["snapshots"] = f"a {how} has no snapshots within it: {'; '.join(dropped)}"
    return red | {each.name: each.reason for each in evidence.passed_through}


def lacking(plan: BackupPlan, evidence: Evidence) -> dict[str, str]:
    """All that is not in the backup: every disk that is left out and the red list, with the reasons."""
    choices = _left_out_choices(plan, evidence)
    return {choice.disk.target: choice.reason or "not chosen" for choice in choices} | red_list(plan, evidence)


def _red_tpm(tpm: TpmEvidence) -> dict[str, str]:
    if tpm.problem:
        return {"tpm": f"the guest's TPM, without which disks sealed to it stay locked: {tpm.problem}"}
    if tpm.state is not None and tpm.state.secret:
        return {
            "tpm-secret": f"the TPM's state is encrypted with libvirt's secret {tpm.state.secret}, kept apart from it"
        }
    return {}


def _red_list(plan: BackupPlan, evidence: Evidence) -> Iterator[Check]:
    for name, reason in red_list(plan, evidence).items():
        if name in plan.accepted:
            yield warned(RED_TITLE, f"{name}, as accepted: {reason}", "Keep it some other way.")
        else:
            yield failed(RED_TITLE, f"{name}: {reason}", f"Accept that by name: --accept {name}")


def _media(evidence: Evidence) -> Iterator[Check]:
    # A file's source without a name, as a policy for the next start leaves it, is no medium.
    named = {disk.target: disk.source or _nameless(disk) for disk in evidence.facts.disks if disk.device in REMOVABLE}
    media = [f"{name} in {target}" for target, name in named.items() if name]
    if media:
        words = ", ".join(media)
        yield warned("Media", f"not copied: {words}", "A restore in place needs it there, or the drive empty.")


def _nameless(disk: Disk) -> str:
    return "" if disk.is_empty or disk.source_type in list(DiskKind) else f"a medium of type {disk.source_type}"


def _firmware(evidence: Evidence) -> Iterator[Check]:
    if evidence.nvram and evidence.nvram_readable:
        yield passed("UEFI variables", f"kept right after the snapshot: {evidence.nvram}")
    tpm = evidence.tpm
    if tpm is not None and tpm.state is not None:
        yield passed("TPM", f"its state is kept right after the snapshot: {tpm.state.path}")
    elif tpm is not None and not tpm.problem:
        yield passed("TPM", "it has no state yet: the guest was never started with it")


def _boot_files(evidence: Evidence) -> Iterator[Check]:
    kept = [each.path for each in evidence.boot_files if not each.reason]
    if kept:
        yield passed("Kernel", f"the guest starts from files of the host, which are kept: {', '.join(kept)}")
    for each in evidence.boot_files:
        if each.reason:
            words = f"not copied: {each.path}, the {each.element} that the guest starts from: {each.reason}"
            yield warned("Kernel", words, "A restore needs it there: keep it some other way.")


def _confinement(evidence: Evidence) -> Iterator[Check]:
    confinement = evidence.confinement
    if not confinement.model:
        return
    if bars_late_merge(confinement, evidence.libvirt):
        words = f"{confinement.words}; libvirt {evidence.libvirt} denies the base to a guest started on its overlay"
        yield warned("Confinement", words, "Do not stop and start the guest until its backup has ended.")
    else:
        yield passed("Confinement", f"{confinement.words}; libvirt lets the guest use its overlays")


def _agent(plan: BackupPlan, evidence: Evidence) -> Iterator[Check]:
    agent = evidence.agent
    if agent is None or evidence.facts.power is not PowerState.RUNNING:
        if evidence.facts.power is PowerState.RUNNING:
            yield warned("Guest agent", "no freeze is wanted: the copy will be as after a power cut")
        return
    if agent.frozen:
        yield failed("Guest agent", "the guest is frozen already", mend(Cause.FROZEN))
    elif agent.answers:
        yield passed("Guest agent", f"it answers, the guest is not frozen; {FREEZE_NOTE}")
    elif plan.quiesce is QuiescePolicy.REQUIRED:
        yield failed("Guest agent", agent.problem, f"{_sentence(agent.next_step)}Or do without the freeze.")
    else:
        why = f"{_sentence(agent.problem)}The copy will be as after a power cut"
        yield warned("Guest agent", why, agent.next_step)


def _sentence(words: str) -> str:
    """Words with a full stop and a space, ready for the next; nothing of nothing."""
    return f"{words.rstrip('.')}. " if words else ""


def _snapshots(evidence: Evidence) -> Iterator[Check]:
    if evidence.snapshots or evidence.checkpoints:
        kinds = (("snapshots", evidence.snapshots), ("checkpoints", evidence.checkpoints))
        words = " and ".join(f"{kind} {', '.join(names)}" for kind, names in kinds if names)
        kept = "in the guest they stay as they are, in the copies are those within images that are copied byte by byte"
        yield warned("Snapshots", f"the guest has {words}; {kept}", "")
