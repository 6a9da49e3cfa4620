"""The virsh commands that do what a plan does, for whoever wants to know or to do without the program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from shlex import quote

from tui.backup.converting import convert_words
from tui.backup.folder import result_folder
from tui.backup.plan import BackupPlan, PlannedDisk, QuiescePolicy, Source, pool_name

_SYNC = '{"execute":"guest-exec","arguments":{"path":"sync"}}'


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan in words, and the command a user could type for it."""

    title: str
    command: str


def plan_commands(plan: BackupPlan) -> tuple[PlanStep, ...]:
    """The steps of `plan`, in order; the commands can be pasted into a shell."""
    virsh, guest = f"virsh -c {quote(plan.uri)}", quote(plan.guest)
    folder = result_folder(plan).partial
    specs = [f"{disk.target},snapshot=external,file={disk.overlay.replace(',', ',,')}" for disk in plan.disks]
    specs += [f"{target},snapshot=no" for target in plan.left_out]
    agent = f"{virsh} qemu-agent-command {guest} --timeout 10"
    freezing = plan.quiesce is not QuiescePolicy.OFF
    steps: list[PlanStep] = []
    if freezing:
        steps.append(PlanStep("Have the guest write out what it holds in memory", f"{agent} '{_SYNC}'"))
        steps.append(PlanStep("Freeze the file systems", f'{agent} \'{{"execute":"guest-fsfreeze-freeze"}}\''))
    steps.append(
        PlanStep(
            "Let the guest write to overlays",
            f"{virsh} snapshot-create-as {guest} --disk-only --atomic --no-metadata"
            + "".join(f" --diskspec {quote(spec)}" for spec in specs),
        )
    )
    if freezing:
        steps.append(PlanStep("Thaw", f'{agent} \'{{"execute":"guest-fsfreeze-thaw"}}\''))
    folders = dict.fromkeys(str(Path(disk.overlay).parent) for disk in plan.disks)
    pools = {place: f"{pool_name(plan)}-{number}" for number, place in enumerate(folders, 1)}
    if plan.source is Source.STREAM:
        steps += (
            PlanStep(
                "Have libvirt's storage see the images, where no pool holds them",
                f"{virsh} pool-create-as {name} dir --target {quote(place)}",
            )
            for place, name in pools.items()
        )
    for disk in plan.disks:
        copy = folder / "disks" / plan.copy_name(disk)
        steps.append(PlanStep(f"Copy {disk.target}", _copy_command(plan, disk, str(copy))))
    for disk in plan.disks:
        copy = folder / "disks" / plan.copy_name(disk)
        steps.append(PlanStep(f"Verify {disk.target}", _verify_command(plan, disk, str(copy))))
    steps += (
        PlanStep(
            f"Merge {disk.target} back",
            f"{virsh} blockcommit {guest} {disk.target} --active --shallow --wait --pivot",
        )
        for disk in plan.disks
    )
    steps.append(PlanStep("See that the guest is on its own disks", f"{virsh} domblklist {guest}"))
    remove = f"{virsh} vol-delete" if plan.source is Source.STREAM else "rm"
    steps += (
        PlanStep(f"Delete the overlay of {disk.target}", f"{remove} {quote(disk.overlay)}") for disk in plan.disks
    )
    if plan.source is Source.STREAM:
        steps += (
            PlanStep("Remove the pool, where one was made", f"{virsh} pool-destroy {name}") for name in pools.values()
        )
    return tuple(steps)


def _verify_command(plan: BackupPlan, disk: PlannedDisk, copy: str) -> str:
    if plan.is_converted(disk) and plan.source is Source.STREAM:
        scratch = _scratch(disk, copy)
        words = " ".join(map(quote, scratch))
        return f"qemu-img compare {quote(scratch[0])} {quote(copy)} && rm {words}"
    if plan.is_converted(disk):
        return f"qemu-img compare {quote(disk.base)} {quote(copy)}"
    if plan.source is Source.STREAM:
        return f"virsh -q -c {quote(plan.uri)} vol-download {quote(disk.base)} /dev/stdout | cmp - {quote(copy)}"
    return f"sha256sum {quote(disk.base)} {quote(copy)}"


def _copy_command(plan: BackupPlan, disk: PlannedDisk, copy: str) -> str:
    if not plan.is_converted(disk):
        return _download(plan, disk.base, copy) if plan.source is Source.STREAM else _cp(disk.base, copy)
    if plan.source is Source.FILE:
        return _convert(plan, disk, copy)
    scratch = _scratch(disk, copy)
    paths = (disk.base, *disk.below)
    downloads = [_download(plan, path, name) for path, name in zip(paths, scratch, strict=True)]
    ties = [
        f"qemu-img rebase -u -F $({_format_of(below)}) -b {quote(below)} {quote(image)}"
        for image, below in pairwise(scratch)
    ]
    return " && ".join((*downloads, *ties, _convert(plan, replace(disk, base=scratch[0]), copy)))


def _format_of(image: str) -> str:
    return f"qemu-img info {quote(image)} | sed -n 's/^file format: //p'"


def _scratch(disk: PlannedDisk, copy: str) -> tuple[str, ...]:
    return tuple(f"{copy}.scratch-{number}" for number in range(1 + len(disk.below)))


def _cp(base: str, copy: str) -> str:
    return f"cp --sparse=always {quote(base)} {quote(copy)}"


def _download(plan: BackupPlan, base: str, copy: str) -> str:
    return f"virsh -c {quote(plan.uri)} vol-download --sparse {quote(base)} {quote(copy)}"


def _convert(plan: BackupPlan, disk: PlannedDisk, copy: str) -> str:
    return f"qemu-img {' '.join(quote(word) for word in convert_words(plan, disk, copy))}"
