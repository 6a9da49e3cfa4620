"""Makes the files that tell one guest from another; they ride in its initial ramdisk and are laid on its disk once."""

from __future__ import annotations

import gzip
import shlex
from pathlib import Path

from tui.lab.cpio import GuestFile, pack
from tui.lab.spec import AgentSetup, GuestSpec, data_folders

WINDOWS_FILES = Path(__file__).with_name("windows")
_TEXT_CODINGS = {"cp866": "cp866", "utf16": "utf-16-le", "utf8": "utf-8"}
_MERGED = ("bin", "sbin", "lib", "lib64")


def files_below(folder: Path) -> list[GuestFile]:
    """The files of a tree of this package; what begins with `#!` becomes executable."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        mode = 0o755 if content.startswith(b"#!") else 0o644
        found.append(GuestFile(f"/{path.relative_to(folder)}", content, mode))
    return found


def seed_files(spec: GuestSpec) -> list[GuestFile]:
    """The guest's own files; those of the spec come last and win."""
    fstab = "".join(f"/dev/{target} {folder} ext4 noatime 0 0\n" for target, folder in data_folders(spec).items())
    files = [GuestFile("/etc/hostname", f"{spec.name}\n".encode()), GuestFile("/etc/fstab", fstab.encode())]
    if spec.agent is AgentSetup.NOT_STARTED:
        files.append(GuestFile("/etc/lab/agent-disabled", b""))
    if spec.agent is AgentSetup.NOT_INSTALLED:
        files.append(GuestFile("/etc/lab/agent-absent", b""))
    if spec.agent_args:
        setting = f"DAEMON_ARGS={shlex.quote(shlex.join(spec.agent_args))}\n"
        files.append(GuestFile("/etc/default/qemu-guest-agent", setting.encode()))
    if spec.writer:
        files.append(GuestFile("/etc/lab/writer", b""))
    if spec.extra_boot:
        files.append(GuestFile("/etc/lab/boot", "".join(f"{line}\n" for line in spec.extra_boot).encode()))
    if spec.windows_lookalike:
        files += _windows_files()
    return [*files, *spec.extra_files]


def seed_archive(spec: GuestSpec) -> bytes:
    """What is appended to the common initial ramdisk; compressed, for a plain archive would have to be aligned."""
    folders = [f"/seed{folder}" for folder in data_folders(spec).values()]
    files = [GuestFile(f"/seed{_merged(file.path)}", file.content, file.mode) for file in seed_files(spec)]
    return gzip.compress(pack(files, folders), mtime=0)


def _merged(path: str) -> str:
    """The path with /bin and its like resolved: a folder must not be copied over a symbolic link."""
    top = path.lstrip("/").partition("/")[0]
    return f"/usr/{path.lstrip('/')}" if top in _MERGED else f"/{path.lstrip('/')}"


def _windows_files() -> list[GuestFile]:
    files = []
    for file in files_below(WINDOWS_FILES):
        if not file.path.endswith(".txt"):
            files.append(file)
            continue
        text = file.content.decode().replace("\n", "\r\n")
        stem = file.path.removesuffix(".txt")
        files += [GuestFile(f"{stem}.{suffix}", text.encode(coding)) for suffix, coding in _TEXT_CODINGS.items()]
    return files
