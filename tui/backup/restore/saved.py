"""A backup's folder as it was found, read with distrust: whoever can write into it could have put anything there."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from tui.backup.boot_files import BootFile, from_manifest
from tui.backup.durable import read_text
from tui.backup.errors import BackupError
from tui.backup.folder import PARTIAL, VOID
from tui.backup.manifest import SCHEMA, Consistency
from tui.backup.nvram import NVRAM_FILE, Nvram, read_nvram
from tui.backup.plan import TARGET, UUID, DiskKind, ImageFormat
from tui.backup.tpm import TPM_FOLDER, Tpm, read_tpm
from tui.backup.values import a_count, a_list, a_path, a_text, a_text_like, a_user
from tui.hosts.domain_xml import XML_LIMIT, MalformedXmlError, read_definition

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
STORED_XML, LIVE_XML, CLONE_XML = "vm.xml", "vm.live.xml", "vm.clone.xml"
MANIFEST_LIMIT = 4 * 1024 * 1024
SUMS_LIMIT = 4 * 1024 * 1024

_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODE = re.compile(r"[0-7]{3,4}")


class DamagedBackupError(BackupError):
    """A folder that is a backup's, or was to be one, cannot be trusted as it is."""


class NewerBackupError(DamagedBackupError):
    """The backup was made by a program that knows more than this one."""


@dataclass(frozen=True, slots=True)
class SavedDisk:
    """One disk in a backup; sizes in bytes, `file` relative to the folder, owner and mode those of the original.

    `problem` says why there is no file to restore from, empty where there is one; whether it is what was saved is for
    the sums to say. `named` is what the definition calls the original where that is another text than its path;
    `is_device` tells that it was on a block device.
    """

    target: str
    file: str
    format: ImageFormat
    original_format: ImageFormat
    kind: DiskKind
    original: str
    chain: tuple[str, ...]
    virtual_bytes: int
    data_bytes: int
    sha256: str
    owner: int
    group: int
    mode: int
    problem: str = ""
    named: str = ""
    is_device: bool = False
    dropped_snapshots: tuple[str, ...] = ()

    @property
    def was_on_device(self) -> bool:
        """Whether it was on a block device, as far as the backup tells: older ones have the definition's word alone."""
        return self.is_device or self.kind is DiskKind.BLOCK

    @property
    def spelled(self) -> str:
        """The path as the definition spells it, which leads to the image by whatever links there are by now."""
        return self.named if self.named.startswith("/") else self.original


@dataclass(frozen=True, slots=True)
class SavedBackup:
    """What a backup's folder says of itself. Definitions hold secrets; texts are foreign and raw.

    `missing` is what the backup was made without, `left_out` the targets of disks not taken. `nvram` is where and whose
    the UEFI variables were, `tpm` the state of the TPM, each None where it is not here; `boot_files` are those that are
    here of the files it starts from besides its disks; `void` says why it is no whole backup, empty for one.
    """

    folder: Path
    guest: str
    uuid: str
    host: str
    uri: str
    hostname: str
    run_id: str
    stamp: str
    finished: str
    consistency: Consistency
    disks: tuple[SavedDisk, ...]
    stored_xml: str
    live_xml: str = ""
    clone_xml: str = ""
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    autostart: bool = False
    nvram: Nvram | None = None
    tpm: Tpm | None = None
    boot_files: tuple[BootFile, ...] = ()
    tool: str = ""
    hypervisor: str = ""
    void: str = ""
    sums: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def path(self, name: str) -> Path:
        """Where a file of the backup is."""
        return self.folder / name

    @property
    def data_bytes(self) -> int:
        """Bytes of data in all disks."""
        return sum(disk.data_bytes for disk in self.disks)


def read_saved(folder: Path) -> SavedBackup:
    """Read everything about a backup but its disks; blocks. A missing disk is told as its `problem`.

    Raises DamagedBackupError (a NewerBackupError for a schema above ours) with the file at fault, and BackupError where
    the folder is no backup's at all. No file outside the folder is read, whatever the manifest or a link says.
    """
    raw = _manifest(folder)
    sums = MappingProxyType(read_sums(_small(folder, SUMS, SUMS_LIMIT)))
    try:
        return _saved(folder, raw, sums)
    except MalformedXmlError as error:
        raise DamagedBackupError(
            "The backup's definition is damaged", cause=error.cause, original=error.original
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedBackupError(
            "The backup's manifest is damaged",
            cause=f"{folder / MANIFEST}: {_reason(error)}",
            next_step="Its disks may be whole all the same: see RESTORE.md beside it.",
        ) from error


def read_sums(text: str) -> dict[str, str]:
    """The names below a backup's folder and their sums; raises DamagedBackupError for what leads out of it."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        found = _SUM_LINE.fullmatch(line)
        if found is None or not _stays_inside(found[2]):
            raise DamagedBackupError("The backup's list of sums is damaged", cause=f"{SUMS}: {line!r:.120}")
        sums[found[2]] = found[1]
    if not sums:
        raise DamagedBackupError("The backup's list of sums is damaged", cause=f"{SUMS} is empty")
    return sums


def inside(folder: Path, name: str) -> Path:
    """The path of `name` in `folder`; raises DamagedBackupError where a link in between leads out of the folder."""
    path = folder / name
    # realpath, unlike resolve, does not raise where links go round in circles.
    if not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(folder)):
        raise DamagedBackupError("The backup leads out of its folder", cause=f"{name} lies behind a link")
    return path


def _manifest(folder: Path) -> dict[str, Any]:
    text = _small(folder, MANIFEST, MANIFEST_LIMIT)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(folder, str(error)) from error
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
        raise _unreadable(folder, "it is no manifest of a backup")
    if raw["schema"] > SCHEMA:
        tool = raw.get("tool")
        made_by = str(tool.get("version", "?"))[:40] if isinstance(tool, dict) else "?"
        raise NewerBackupError(
            "The backup was made by a newer qga-tui",
            cause=f"its manifest is of schema {raw['schema']}, this program knows {SCHEMA}",
            next_step=f"Use qga-tui {made_by} or newer, or the commands of its RESTORE.md.",
        )
    if raw["schema"] < 1:
        raise _unreadable(folder, f"schema {raw['schema']}")
    return raw


def _unreadable(folder: Path, why: str) -> DamagedBackupError:
    return DamagedBackupError(
        "The backup's manifest cannot be read",
        cause=f"{folder / MANIFEST}: {why}",
        next_step="Its disks may be whole all the same: see RESTORE.md beside it.",
    )


def _small(folder: Path, name: str, limit: int) -> str:
    """The text of a small file of the backup; one byte above `limit` is refused."""
    try:
        text = read_text(inside(folder, name), limit + 1)
    except FileNotFoundError as error:
        raise BackupError(
            "This is no finished backup",
            cause=f"{folder} has no {name}",
            next_step=f"A folder that ends in {PARTIAL} is a copy that was given up; look beside it.",
        ) from error
    except OSError as error:
        raise DamagedBackupError(
            "The backup cannot be read",
            cause=f"{folder / name}: {error.strerror}",
            next_step="Run as a user who may read it.",
            original=str(error),
        ) from error
    if len(text) > limit:
        raise DamagedBackupError("The backup's folder is not what it should be", cause=f"{name} is too long")
    return text


def _optional(folder: Path, name: str) -> str:
    return _small(folder, name, XML_LIMIT) if (folder / name).is_file() else ""


def _saved(folder: Path, raw: dict[str, Any], sums: Mapping[str, str]) -> SavedBackup:
    stored = _small(folder, STORED_XML, XML_LIMIT)
    read_definition(stored)
    disks = tuple(_disk(folder, each) for each in a_list(raw["disks"]))
    if not disks or len({disk.target for disk in disks}) < len(disks) or len({d.file for d in disks}) < len(disks):
        raise ValueError("no disks, or one of them twice")
    return SavedBackup(
        folder=folder,
        guest=a_text(raw["guest"]["name"]),
        uuid=a_text_like(raw["guest"]["uuid"], UUID),
        host=a_text(raw["host"]["name"]),
        uri=a_text(raw["host"]["uri"]),
        hostname=a_text(raw["host"].get("hostname", "?")),
        run_id=a_text(raw["run"]),
        stamp=a_text(raw["stamp"]),
        finished=a_text(raw.get("finished", "?")),
        consistency=Consistency(raw["freeze"]["consistency"]),
        disks=disks,
        stored_xml=stored,
        live_xml=_optional(folder, LIVE_XML),
        clone_xml=_optional(folder, CLONE_XML),
        left_out=tuple(a_text(each) for each in a_list(raw.get("disks_left_out", []))),
        missing=tuple(a_text(each) for each in a_list(raw.get("missing", []))),
        checkpoints=tuple(a_text(each) for each in a_list(raw.get("checkpoints", []))),
        autostart=raw.get("autostart") is True,
        nvram=read_nvram(raw["nvram"]) if raw.get("nvram") and NVRAM_FILE in sums else None,
        tpm=_tpm(raw.get("tpm"), sums),
        boot_files=from_manifest(raw.get("boot_files", []), sums),
        tool=a_text(raw.get("tool", {}).get("version", "?")),
        hypervisor=a_text(raw.get("versions", {}).get("hypervisor", "?")),
        void=_void(folder),
        sums=sums,
    )


def _disk(folder: Path, raw: Any) -> SavedDisk:
    file = a_text(raw["file"])
    if not _stays_inside(file):
        raise ValueError(f"it names a file outside its folder: {file!r:.200}")
    return SavedDisk(
        target=a_text_like(raw["target"], TARGET),
        file=file,
        format=ImageFormat(raw["format"]),
        original_format=ImageFormat(raw.get("original_format", raw["format"])),
        kind=DiskKind(raw.get("kind", DiskKind.FILE)),
        original=a_path(raw["original"]),
        chain=tuple(a_path(each) for each in a_list(raw.get("chain", []))),
        virtual_bytes=a_count(raw["virtual_bytes"]),
        data_bytes=a_count(raw["data_bytes"]),
        sha256=a_text_like(raw["sha256"], _SHA256),
        owner=a_user(raw["owner"]),
        group=a_user(raw["group"]),
        mode=int(a_text_like(raw["mode"], _MODE), 8),
        problem=_problem(inside(folder, file)),
        named=a_text(raw["named"]) if raw.get("named") else "",
        is_device=raw.get("is_device") is True,
        dropped_snapshots=tuple(a_text(each) for each in a_list(raw.get("dropped_snapshots", []))),
    )


def _tpm(raw: Any, sums: Mapping[str, str]) -> Tpm | None:
    """None where a file of it is missing: half a state is none."""
    tpm = read_tpm(raw) if raw else None
    return tpm if tpm is not None and tpm.files and all(f"{TPM_FOLDER}/{name}" in sums for name in tpm.files) else None


def _problem(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        return "it is missing" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    if not stat.S_ISREG(mode):
        return "it is no plain file"
    return "" if os.access(path, os.R_OK) else "this user may not read it"


def _void(folder: Path) -> str:
    if folder.name.endswith(PARTIAL):
        return "its copy was never finished"
    return "it is marked as void" if os.path.lexists(folder / VOID) else ""


def _stays_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
