"""A guest's TPM: what its definition says of it, and what is kept of an emulated one's state."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui.backup.folder import ResultFolder
from tui.backup.settled import settled
from tui.backup.values import a_list, a_path, a_text_like, a_user
from tui.hosts.domain_xml import parse_tree

TPM_FOLDER = "tpm"
"""The copies of its files, in the folder of a backup."""
STATE_LIMIT = 16 * 1024 * 1024
"""Bytes of one file; a whole TPM 2.0 is below a hundred thousand."""
STATE_FILE_MODE = 0o600
"""What libvirt tells swtpm to give its files."""
_STATE_FILE = re.compile(r"tpm2?-\d\d\.[a-z]{1,16}(\.bak)?")
"""What swtpm reads at its start."""
_BESIDE_STATE = re.compile(r"\.lock|TMP2?-\d\d\..*")
"""Its lock, and a file that it is about to rename."""
_MODE = re.compile(r"[0-7]{4}")
LAYOUT = re.compile(r"tpm2|tpm1\.2")
_UUID = re.compile(r"[0-9A-Fa-f-]{32,36}")


@dataclass(frozen=True, slots=True)
class TpmDevice:
    """A `<tpm>`: `backend` is libvirt's word, `layout` the name that libvirt gives the folder of the TPM's version.

    `source` is where the user wants the state (libvirt 10.10 and newer), empty where that is left to libvirt; `secret`
    the UUID of the libvirt secret that the state is encrypted with, empty where it is not.
    """

    backend: str
    layout: str = "tpm2"
    source: str = ""
    source_type: str = ""
    secret: str = ""

    @property
    def is_emulated(self) -> bool:
        """Whether libvirt runs swtpm for it."""
        return self.backend == "emulator"


@dataclass(frozen=True, slots=True)
class Tpm:
    """Where the state of an emulated TPM was and whose: `path` is the folder of its files, `files` their names.

    `layout` is libvirt's name for the folder of that TPM's version, `secret` the UUID of what encrypts the state.
    """

    path: str
    layout: str
    owner: int
    group: int
    mode: str
    files: tuple[str, ...] = ()
    secret: str = ""


def tpm_device(xml: str) -> TpmDevice | None:
    """A guest's TPM, the emulated one of two, None without any; raises MalformedXmlError."""
    found = [_device(element) for element in parse_tree(xml).findall("./devices/tpm")]
    return next((device for device in found if device.is_emulated), found[0] if found else None)


def _device(tpm: ET.Element) -> TpmDevice:
    backend = tpm.find("backend")
    if backend is None:
        return TpmDevice("")
    source, encryption = backend.find("source"), backend.find("encryption")
    return TpmDevice(
        backend=backend.get("type", ""),
        layout="tpm1.2" if backend.get("version") == "1.2" else "tpm2",
        source="" if source is None else source.get("path", "").rstrip("/"),
        source_type="" if source is None else source.get("type", ""),
        secret="" if encryption is None else encryption.get("secret", ""),
    )


def look_at_state(path: str, device: TpmDevice) -> Tpm | None:
    """The state as it is now, None where there is none yet; raises OSError, also where it may not be read."""
    try:
        status = Path(path).stat()
        files = read_state(path)
    except FileNotFoundError:
        return None
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if not files:
        return None
    return Tpm(path, device.layout, status.st_uid, status.st_gid, mode, tuple(files), device.secret)


def read_state(path: str) -> dict[str, bytes]:
    """Every file of the state by its name, sorted; raises OSError.

    Each is whole at any time: swtpm writes a new one beside it and renames that (swtpm_nvstore_dir.c).
    """
    return {name: _read(Path(path) / name) for name in state_files(path)}


def state_files(path: str) -> list[str]:
    """The names of a state's files, sorted; raises OSError."""
    return sorted(each.name for each in Path(path).iterdir() if _STATE_FILE.fullmatch(each.name))


def holds_state_alone(path: str) -> bool:
    """Whether nothing is seen in a folder but a TPM's state and what swtpm keeps beside it."""
    try:
        names = [each.name for each in Path(path).iterdir()]
    except OSError:
        return True
    return all(_STATE_FILE.fullmatch(name) or _BESIDE_STATE.fullmatch(name) for name in names)


def keep_state(folder: ResultFolder, path: str) -> None:
    """Copy the state into a backup's partial folder, as it was at one moment; blocks, raises OSError.

    Several files are of one moment only if none of them changed while all were read, so they are read until they come
    out the same twice.
    """
    now = settled(lambda: read_state(path), "the TPM's state", path)
    if not now:
        raise OSError(errno.ENOENT, "the TPM's state is gone", path)
    for name, content in now.items():
        folder.keep_bytes(f"{TPM_FOLDER}/{name}", content)


def state_digest(sums: Mapping[str, str]) -> str:
    """One sum for a state, of the names and the sums of its files; in hexadecimal."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_tpm(raw: Any) -> Tpm:
    """What a manifest says of it; raises ValueError, KeyError and TypeError for what this program did not write."""
    return Tpm(
        path=a_path(raw["path"]),
        layout=a_text_like(raw["layout"], LAYOUT),
        owner=a_user(raw["owner"]),
        group=a_user(raw["group"]),
        mode=a_text_like(raw["mode"], _MODE),
        files=tuple(a_text_like(name, _STATE_FILE) for name in a_list(raw["files"])),
        secret=a_text_like(raw["secret"], _UUID) if raw.get("secret") else "",
    )


def _read(path: Path) -> bytes:
    """A link is not followed and a pipe not waited for: a user may have chosen the folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > STATE_LIMIT:
            raise OSError(errno.EINVAL, "no file of a TPM's state", str(path))
        return file.read(STATE_LIMIT)
