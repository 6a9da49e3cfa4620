"""The kernel that a guest starts from without its disks, and what goes with it: small files of the host, kept with it.

One that cannot be kept is named, in the checks, in the manifest and in RESTORE.md. As with a medium in a drive, nothing
that the guest wrote is lost with it, so that no backup waits for a word about it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from tui.backup.durable import sync_folder
from tui.backup.folder import ResultFolder
from tui.backup.values import a_list, a_text, a_text_like, a_user
from tui.hosts.domain_xml import parse_tree
from tui.model.quantities import size
from tui.settings import PRIVATE_FILE, PRIVATE_FOLDER

ELEMENTS = ("kernel", "initrd", "dtb")
"""What of `<os>` names such a file."""
FOLDER = "boot"
LIMIT = 256 * 1024 * 1024
"""Bytes above which it is no small file."""
_PIECE = 1024 * 1024
_MODE = re.compile(r"[0-7]{3,4}")


@dataclass(frozen=True, slots=True)
class BootFile:
    """One of them; owner and mode go with it. `reason` says why it is not kept, empty where it is."""

    element: str
    path: str
    owner: int = 0
    group: int = 0
    mode: str = "0644"
    bytes: int = 0
    sha256: str = ""
    reason: str = ""

    @property
    def file(self) -> str:
        """Its copy, in the folder of a backup."""
        return f"{FOLDER}/{self.element}"

    @property
    def put_there(self) -> str:
        """The command that puts the copy where the guest looks for it, from the backup's folder."""
        to = quote(self.path)
        return f"cp {self.file} {to} && chown {self.owner}:{self.group} {to} && chmod {self.mode} {to}"


def boot_paths(xml: str) -> dict[str, str]:
    """Where the files are, by element; empty for a guest that starts from its disks. Raises MalformedXmlError."""
    root = parse_tree(xml)
    found = {element: (root.findtext(f"./os/{element}") or "").strip() for element in ELEMENTS}
    return {element: path for element, path in found.items() if path}


def look_at_boot_files(xml: str, *, is_local: bool) -> tuple[BootFile, ...]:
    """The files as they are now; blocks."""
    return tuple(_look(element, path, is_local) for element, path in boot_paths(xml).items())


def _look(element: str, path: str, is_local: bool) -> BootFile:
    if not is_local:
        return BootFile(element, path, reason="it is not proven to be on this machine")
    try:
        status = Path(path).stat()
    except OSError as error:
        return BootFile(element, path, reason=error.strerror or str(error))
    reasons = (
        (not stat.S_ISREG(status.st_mode), "it is no plain file"),
        (status.st_size > LIMIT, f"it has {size(status.st_size)}, more than {size(LIMIT)}"),
        (not os.access(path, os.R_OK), "this user may not read it"),
    )
    why = next((reason for holds, reason in reasons if holds), "")
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return BootFile(element, path, status.st_uid, status.st_gid, mode, status.st_size, reason=why)


def keep_boot_files(folder: ResultFolder, files: tuple[BootFile, ...]) -> tuple[BootFile, ...]:
    """Copy them into the partial folder; returns them with their sums, or why not. Blocks; raises OSError."""
    place = folder.partial / FOLDER
    if any(not each.reason for each in files):
        place.mkdir(mode=PRIVATE_FOLDER)
    kept = tuple(each if each.reason else _keep(folder, each) for each in files)
    if place.is_dir():
        sync_folder(place)
    return kept


def _keep(folder: ResultFolder, file: BootFile) -> BootFile:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        source = os.open(file.path, flags)
    except OSError as error:
        return replace(file, reason=error.strerror or str(error))
    digest, count = hashlib.sha256(), 0
    copy = folder.partial / file.file
    with os.fdopen(source, "rb") as read, copy.open("xb") as written:
        copy.chmod(PRIVATE_FILE)
        # It may be another file by now than the one that was looked at.
        while count <= LIMIT and (piece := read.read(_PIECE)):
            written.write(piece)
            digest.update(piece)
            count += len(piece)
        written.flush()
        os.fsync(written.fileno())
    if count > LIMIT:
        copy.unlink()
        return replace(file, reason=f"it has more than {size(LIMIT)}")
    return replace(file, bytes=count, sha256=digest.hexdigest())


def to_manifest(files: tuple[BootFile, ...]) -> list[dict[str, object]]:
    """What the manifest says of them."""
    return [{**asdict(each), "file": "" if each.reason else each.file} for each in files]


def from_manifest(raw: Any, sums: Mapping[str, str]) -> tuple[BootFile, ...]:
    """Those that are in a backup, by its manifest and its sums; raises ValueError, KeyError and TypeError."""
    files = tuple(
        BootFile(
            element=str(each["element"]),
            path=a_text(each["path"]),
            owner=a_user(each["owner"]),
            group=a_user(each["group"]),
            mode=a_text_like(each["mode"], _MODE),
        )
        for each in a_list(raw)
        if each["element"] in ELEMENTS
    )
    return tuple(each for each in files if each.file in sums)
