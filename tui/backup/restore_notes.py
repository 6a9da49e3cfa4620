"""RESTORE.md: commands that bring a backup back with a shell and virsh alone."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from tui.backup import tpm_notes
from tui.backup.boot_files import BootFile
from tui.backup.clone_xml import DISKS_WORD, clone_name
from tui.backup.folder import folder_name
from tui.backup.manifest import Consistency, CopiedDisk, FreezeReport
from tui.backup.nvram import NVRAM_FILE, Nvram
from tui.backup.overlay_place import IMAGES
from tui.backup.plan import BackupPlan
from tui.backup.tpm import Tpm

_MEANING = {
    Consistency.QUIESCED: "The guest's file systems were frozen by its agent when the disks were captured.",
    Consistency.PAUSED: "The guest was paused when the disks were captured; what only its memory held is not here.",
    Consistency.OFFLINE: "The guest was off when its disks were captured.",
    Consistency.CRASH: "The disks are as after a power cut: the guest was not frozen when they were captured.",
}

KERNEL_FIRST = "It starts from a kernel on its host's disk: see first that it is there (The kernel, below)."


def restore_notes(
    plan: BackupPlan,
    folder: Path,
    disks: tuple[CopiedDisk, ...],
    freeze: FreezeReport,
    nvram: Nvram | None = None,
    tpm: Tpm | None = None,
    boot_files: tuple[BootFile, ...] = (),
    lacking: tuple[str, ...] = (),
    checkpoints: tuple[str, ...] = (),
) -> str:
    """The text of RESTORE.md for the backup in `folder`.

    `nvram` and `tpm` are where the guest's UEFI variables and its TPM's state were, if kept; `boot_files` are those it
    starts from besides its disks. `lacking` tells what is not in the backup, each with its reason; `checkpoints` are
    the names of those that the guest had.
    """
    return "\n".join(
        (
            f"# How to restore {_inline(plan.guest)}",
            "",
            f"Guest {_inline(plan.guest)} ({plan.uuid}) of {_inline(plan.uri)}, backed up {plan.stamp}.",
            _MEANING[freeze.consistency],
            *_lacking(lacking),
            *(("", KERNEL_FIRST) if boot_files else ()),
            "",
            "Run the commands as a user who may write the images and manage the guest (often root), on the host",
            "the guest is to run on. Nothing but a shell, coreutils and virsh is needed.",
            "",
            "## Check the backup",
            "",
            *_block(f"cd {quote(str(folder))}", "sha256sum -c SHA256SUMS"),
            "",
            *_second_guest(plan, folder, disks, nvram, tpm),
            "",
            *_in_place(plan, folder, disks, nvram, tpm),
            *(_checkpoints(plan) if checkpoints else ()),
            "",
            *_kernel(folder, boot_files),
        )
    )


def _lacking(lacking: tuple[str, ...]) -> tuple[str, ...]:
    if not lacking:
        return ()
    return ("", "**Not in this backup:**", "", *(f"- {_words(each)}" for each in lacking))


def _checkpoints(plan: BackupPlan) -> tuple[str, ...]:
    virsh, guest = _virsh(plan), quote(plan.guest)
    return (
        "",
        "The guest had checkpoints, from which other backups go on. Those that were made after this backup have no",
        "bitmap in its images, and none has where a disk was copied compact or as a chain. Forget those by name:",
        "",
        *_block(f"{virsh} checkpoint-list {guest}"),
        "",
        *_block("CHECKPOINT=name", f'{virsh} checkpoint-delete {guest} "$CHECKPOINT" --metadata'),
    )


def _kernel(folder: Path, files: tuple[BootFile, ...]) -> tuple[str, ...]:
    if not files:
        return ()
    kept, lacking = [each for each in files if not each.reason], [each for each in files if each.reason]
    there = (
        "Files that are there are left as they are; those that are missing come from the backup:",
        "",
        *_block(
            f"cd {quote(str(folder))}", *(f"[ -e {quote(each.path)} ] || {{ {each.put_there}; }}" for each in kept)
        ),
    )
    return (
        "## The kernel",
        "",
        "The guest does not start from its disks, but from files on the disk of its host.",
        *(f"**Not in this backup: {_inline(each.path)}, the {each.element}: {each.reason}.**" for each in lacking),
        *(there if kept else ()),
        "",
    )


def _second_guest(
    plan: BackupPlan, folder: Path, disks: tuple[CopiedDisk, ...], nvram: Nvram | None, tpm: Tpm | None
) -> tuple[str, ...]:
    name, virsh = clone_name(plan.guest), _virsh(plan)
    beside = (Path(disk.original).parent for disk in disks if not disk.was_on_device)
    place = next(beside, Path(IMAGES)) / folder_name(name)
    return (
        "## As a second guest",
        "",
        f"Starts the backup as {_inline(name)} beside the first guest. Its network links are down, for it has the",
        "first one's addresses; devices of the host and disks that are not in the backup are left out.",
        "Set `DISKS` to where the images shall be; the path must not contain `|`, `&` or a quotation mark.",
        *tpm_notes.words_of(tpm),
        "",
        *_chain(
            f"cd {quote(str(folder))}",
            *tpm_notes.states_setting(tpm, plan.uuid, plan.uri),
            f"DISKS={quote(str(place))}",
            'mkdir -m 711 "$DISKS"',
            *(_copy(disk, f'"$DISKS"/{quote(Path(disk.file).name)}') for disk in disks),
            *((_copy_nvram(nvram, f'"$DISKS"/{Path(NVRAM_FILE).name}'),) if nvram is not None else ()),
            f'(umask 077; sed "s|{DISKS_WORD}|$DISKS|g" vm.clone.xml > "$DISKS"/vm.xml)',
            f'{virsh} define "$DISKS"/vm.xml',
            *tpm_notes.second_state(tpm, f"{virsh} domuuid {quote(name)}"),
            f"{virsh} start {quote(name)}",
        ),
        "",
        "To raise a link once its addresses are changed, take the interface's name from the list:",
        "",
        *_block(f"{virsh} domiflist {quote(name)}"),
        "",
        *_block("INTERFACE=vnet0", f'{virsh} domif-setlink {quote(name)} "$INTERFACE" up'),
    )


def _in_place(
    plan: BackupPlan, folder: Path, disks: tuple[CopiedDisk, ...], nvram: Nvram | None, tpm: Tpm | None
) -> tuple[str, ...]:
    virsh, guest = _virsh(plan), quote(plan.guest)
    aside = f".before-restore-{plan.run_id}"
    return (
        "## In place",
        "",
        "Replaces the guest by the backup. The present images are moved aside, not deleted. Shut the guest down first",
        "and go on when it is off; a saved memory image does not fit the restored disks and has to be removed.",
        "",
        *_block(f"{virsh} shutdown {guest}"),
        "",
        *_chain(
            f'[ "$(LC_ALL=C {virsh} domstate {guest})" = "shut off" ]',
            *(f"[ ! -e {quote(disk.original + aside)} ]" for disk in disks if not disk.was_on_device),
            *tpm_notes.nothing_aside(tpm, plan.uuid, aside),
            f"{virsh} managedsave-remove {guest}",
            f"cd {quote(str(folder))}",
            *(command for disk in disks for command in _put_back(disk, aside)),
            *(_put_nvram_back(nvram, aside) if nvram is not None else ()),
            *tpm_notes.state_put_back(tpm, plan.uuid, aside),
            f"{virsh} define vm.xml",
            f"{virsh} start {guest}",
        ),
        *(_some_alone() if len(disks) > 1 else ()),
    )


def _some_alone() -> tuple[str, ...]:
    return (
        "",
        "To put back some of the disks alone, leave out the lines that name the other disks or UEFI variables, and the",
        "one with `define`: the guest keeps its definition. Its disks are of different moments then, which breaks what",
        "lies on several of them (LVM, RAID, a database and its log).",
    )


def _put_back(disk: CopiedDisk, aside: str) -> tuple[str, ...]:
    """A device is written over; a file is moved aside. A converted copy goes back into the format it came from."""
    original = quote(disk.original)
    if disk.was_on_device:
        return (f"qemu-img convert -n -f {disk.format} -O {disk.original_format} {quote(disk.file)} {original}",)
    moved = f"mv {original} {quote(disk.original + aside)}"
    if disk.format == disk.original_format:
        return moved, _copy(disk, original)
    convert = f"qemu-img convert -f {disk.format} -O {disk.original_format} {quote(disk.file)} {original}"
    return moved, _copy_as(disk, convert, original)


def _put_nvram_back(nvram: Nvram, aside: str) -> tuple[str, str]:
    """The variables may be gone: libvirt takes them away with a definition."""
    original, moved = quote(nvram.path), quote(nvram.path + aside)
    return f"if [ -e {original} ]; then mv {original} {moved}; fi", _copy_nvram(nvram, original)


def _copy(disk: CopiedDisk, to: str) -> str:
    return _copy_as(disk, f"cp --sparse=always {quote(disk.file)} {to}", to)


def _copy_nvram(nvram: Nvram, to: str) -> str:
    return _copy_as(nvram, f"cp {NVRAM_FILE} {to}", to)


def _copy_as(original: CopiedDisk | Nvram, copy: str, to: str) -> str:
    return f"{copy} && chown {original.owner}:{original.group} {to} && chmod {original.mode} {to}"


def _virsh(plan: BackupPlan) -> str:
    return f"virsh -c {quote(plan.uri)}"


def _block(*commands: str) -> tuple[str, ...]:
    return ("```sh", *commands, "```")


def _chain(*commands: str) -> tuple[str, ...]:
    """Commands of which none runs when the one before it failed, also when the block is pasted twice."""
    return _block(*(f"{command} &&" for command in commands[:-1]), commands[-1])


def _inline(text: str) -> str:
    """Foreign text as Markdown code on one line."""
    return f"`{_words(text)}`"


def _words(text: str) -> str:
    """Foreign text on one line that ends no Markdown code."""
    return "".join(c if c.isprintable() and c != "`" else "\ufffd" for c in text)
