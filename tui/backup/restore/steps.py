"""The steps of a restore, each with the command that does the same, for whoever wants to know or to do without us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from xml.sax.saxutils import escape

from tui.backup.clone_xml import DISKS_WORD, clone_name
from tui.backup.equivalents import PlanStep
from tui.backup.plan import ImageFormat
from tui.backup.restore.plan import RestoredFile, RestorePlan, RestoreWay, StopWay
from tui.backup.restore.saved import CLONE_XML, STORED_XML
from tui.backup.tpm_notes import state_commands


def plan_steps(plan: RestorePlan) -> tuple[PlanStep, ...]:
    """The steps in order; the commands can be pasted into a shell."""
    return (*_copy(plan), *_place(plan), *_use(plan))


def attach_words(plan: RestorePlan, disk: RestoredFile) -> str:
    """The virsh command that attaches a disk of a plan, read-only."""
    words = f"--mode readonly --driver qemu --subdriver {disk.to_format} --targetbus virtio --live"
    return f"{virsh(plan)} attach-disk {quote(plan.guest)} {quote(disk.to)} {disk.attach_as} {words}"


def virsh(plan: RestorePlan) -> str:
    """virsh on the plan's host."""
    return f"virsh -c {quote(plan.uri)}"


def _copy(plan: RestorePlan) -> Iterator[PlanStep]:
    yield PlanStep("Verify the backup", f"cd {quote(plan.folder)} && sha256sum -c SHA256SUMS")
    for disk in plan.disks:
        if disk.format is ImageFormat.QCOW2:
            yield PlanStep(f"Check the image of {disk.name}", f"qemu-img check -f qcow2 {quote(disk.file)}")
    if plan.own_folder:
        yield PlanStep("Make a folder for the guest", f"mkdir -m 711 {quote(plan.own_folder)}")
    for file in plan.files:
        yield PlanStep(f"Copy {file.name}", _copy_command(file))


def _copy_command(file: RestoredFile) -> str:
    to = quote(file.partial)
    if file.is_folder:
        return " && ".join(state_commands(to, file.within, file.owner, file.group, f"{file.mode:04o}"))
    if file.is_converted:
        copy = f"qemu-img convert -f {file.format} -O {file.to_format} {quote(file.file)} {to}"
    else:
        copy = f"cp --sparse=always {quote(file.file)} {to}"
    return f"{copy} && chown {file.owner}:{file.group} {to} && chmod {file.mode:04o} {to}"


def _place(plan: RestorePlan) -> Iterator[PlanStep]:
    guest = quote(plan.guest)
    if plan.stop is not StopWay.NONE:
        word = "shutdown" if plan.stop is StopWay.SHUT_DOWN else "destroy"
        yield PlanStep(f"Put {plan.guest} off", f"{virsh(plan)} {word} {guest}")
    if plan.way is RestoreWay.IN_PLACE:
        yield PlanStep(f"See that {plan.guest} is off", f"{virsh(plan)} domstate {guest}")
    for file in plan.files:
        if file.aside:
            yield PlanStep(f"Move {Path(file.to).name} aside", f"mv {quote(file.to)} {quote(file.aside)}")
        yield PlanStep(f"Put {file.name} in its place", f"mv {quote(file.partial)} {quote(file.to)}")


def _define_command(plan: RestorePlan) -> str:
    if plan.way is RestoreWay.IN_PLACE:
        return f"{virsh(plan)} define {STORED_XML}"
    ours = (
        (DISKS_WORD, escape(plan.own_folder, {'"': "&quot;"})),
        (f"<name>{escape(clone_name(plan.source))}</name>", f"<name>{escape(plan.guest)}</name>"),
    )
    words = " ".join(f"-e {quote(f's|{_for_sed(old)}|{_for_sed(new)}|g')}" for old, new in ours)
    xml = quote(f"{plan.own_folder}/{STORED_XML}")
    return f"(umask 077; sed {words} {CLONE_XML} > {xml}) && {virsh(plan)} define {xml}"


def _for_sed(text: str) -> str:
    return re.sub(r"([|&\\.*\[\]^$])", r"\\\1", text)


def _use(plan: RestorePlan) -> Iterator[PlanStep]:
    guest = quote(plan.guest)
    if plan.keeps_definition:
        for disk in plan.disks:
            if disk.name in plan.into_files:
                yield PlanStep(f"Name {disk.to} as the file of {disk.name}", f"{virsh(plan)} edit {guest}")
        yield PlanStep("See which images it is on", f"{virsh(plan)} domblklist {guest} --inactive")
    if plan.defines:
        edited = ", with the changes told" if plan.changes else ""
        yield PlanStep(f"Define {plan.guest}{edited}", _define_command(plan))
        for target in plan.left_out:
            without = f"{virsh(plan)} detach-disk {guest} {target} --config"
            yield PlanStep(f"Take {target}, which was not chosen, out of it", without)
        yield PlanStep("See that it is on the restored images", f"{virsh(plan)} domblklist {guest} --inactive")
    if plan.way is RestoreWay.ATTACH:
        for disk in plan.disks:
            yield PlanStep(f"Attach {disk.name} to {plan.guest}, read-only", attach_words(plan, disk))
    if plan.way is RestoreWay.BOOT_TEST:
        tpm = " --tpm" if any(file.is_folder for file in plan.files) else ""
        ask = f"{virsh(plan)} qemu-agent-command {guest} --timeout 5"
        yield PlanStep("Start it, its network links down", f"{virsh(plan)} start {guest}")
        yield PlanStep("Wait for its agent and ask it", f'{ask} \'{{"execute":"guest-get-osinfo"}}\'')
        yield PlanStep("Put it off again", f"{virsh(plan)} destroy {guest}")
        yield PlanStep("Forget it", f"{virsh(plan)} undefine {guest} --keep-nvram{tpm}")
        yield PlanStep("Remove its folder", f"rm -r {quote(plan.own_folder)}")
