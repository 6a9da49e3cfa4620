"""The virsh commands that do what a plan does, for whoever wants to know or to do without the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from shlex import quote

from tui.backup.converting import convert_words
from tui.backup.folder import result_folder
from tui.backup.plan import BackupPlan, PlannedDisk, QuiescePolicy, Source, pool_name
from tui.model.guest import PowerState

_SYNC = '{"execute":"guest-exec","arguments":{"path":"sync"}}'


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan in words, and the command a user could type for it."""

    title: str
    command: str


def plan_commands(plan: BackupPlan, power: PowerState = PowerState.RUNNING) -> tuple[PlanStep, ...]:
    """The steps of `plan`, in order; the commands can be pasted into a shell.

    The disks of a guest that is off stand still by themselves; one that is paused cannot be frozen.
    """
    moves = power is not PowerState.OFF
    pools = _pools(plan)
    made = "Have libvirt's storage see the images, where no pool holds them"
    return (
        *(_switching(plan, freezing=power is PowerState.RUNNING) if moves else ()),
        *(PlanStep(made, f"{_virsh(plan)} pool-create-as {pool} dir --target {quote(p)}") for p, pool in pools.items()),
        *_copying(plan),
        *(_merging(plan, pools) if moves else ()),
        *(PlanStep("Remove the pool, where one was made", f"{_virsh(plan)} pool-destroy {p}") for p in pools.values()),
    )


def _virsh(plan: BackupPlan) -> str:
    return f"virsh -c {quote(plan.uri)}"


def _pools(plan: BackupPlan) -> dict[str, str]:
    """The folders that a stream needs a pool over, with the pools' names."""
    if plan.source is Source.FILE:
        return {}
    folders = dict.fromkeys(str(Path(disk.overlay).parent) for disk in plan.disks)
    return {folder: f"{pool_name(plan)}-{number}" for number, folder in enumerate(folders, 1)}


def _switching(plan: BackupPlan, *, freezing: bool) -> Iterator[PlanStep]:
    guest = quote(plan.guest)
    specs = [f"{disk.target},snapshot=external,file={disk.overlay.replace(',', ',,')}" for disk in plan.disks]
    specs += [f"{target},snapshot=no" for target in plan.left_out]
    agent = f"{_virsh(plan)} qemu-agent-command {guest} --timeout 10"
    freezing = freezing and plan.quiesce is not QuiescePolicy.OFF
    if freezing:
        yield PlanStep("Have the guest write out what it holds in memory", f"{agent} '{_SYNC}'")
        yield PlanStep("Freeze the file systems", f'{agent} \'{{"execute":"guest-fsfreeze-freeze"}}\'')
    yield PlanStep(
        "Let the guest write to overlays",
        f"{_virsh(plan)} snapshot-create-as {guest} --disk-only --atomic --no-metadata"
        + "".join(f" --diskspec {quote(spec)}" for spec in specs),
    )
    if freezing:
        yield PlanStep("Thaw", f'{agent} \'{{"execute":"guest-fsfreeze-thaw"}}\'')


def _copying(plan: BackupPlan) -> Iterator[PlanStep]:
    disks = result_folder(plan).partial / "disks"
    for disk in plan.disks:
        yield PlanStep(f"Copy {disk.target}", _copy_command(plan, disk, str(disks / plan.copy_name(disk))))
    for disk in plan.disks:
        yield PlanStep(f"Verify {disk.target}", _verify_command(plan, disk, str(disks / plan.copy_name(disk))))


def _merging(plan: BackupPlan, pools: dict[str, str]) -> Iterator[PlanStep]:
    guest = quote(plan.guest)
    for disk in plan.disks:
        merge = f"{_virsh(plan)} blockcommit {guest} {disk.target} --active --shallow --wait --pivot"
        yield PlanStep(f"Merge {disk.target} back", merge)
    yield PlanStep("See that the guest is on its own disks", f"{_virsh(plan)} domblklist {guest}")
    for disk in plan.disks:
        yield PlanStep(f"Delete the overlay of {disk.target}", _delete_command(plan, disk, pools))


def _delete_command(plan: BackupPlan, disk: PlannedDisk, pools: dict[str, str]) -> str:
    pool = pools.get(str(Path(disk.overlay).parent))
    if pool is None:
        return f"rm {quote(disk.overlay)}"
    return f"{_virsh(plan)} pool-refresh {pool} && {_virsh(plan)} vol-delete {quote(disk.overlay)}"


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
    return f"{_virsh(plan)} vol-download --sparse {quote(base)} {quote(copy)}"


def _convert(plan: BackupPlan, disk: PlannedDisk, copy: str) -> str:
    return f"qemu-img {' '.join(quote(word) for word in convert_words(plan, disk, copy))}"
