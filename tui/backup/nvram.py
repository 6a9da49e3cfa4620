"""A guest's UEFI variables (NVRAM): where they are, and what is kept of them."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui.backup.values import a_path, a_text_like, a_user
from tui.hosts.domain_xml import parse_tree

NVRAM_FILE = "nvram/vars.fd"
"""Their copy, in the folder of a backup."""
_MODE = re.compile(r"[0-7]{3,4}")


@dataclass(frozen=True, slots=True)
class Nvram:
    """The file that holds them; owner and mode go with it, for the guest has to write to it."""

    path: str
    owner: int
    group: int
    mode: str


def look_at_nvram(path: str) -> Nvram:
    """The file as it is now; raises OSError."""
    status = Path(path).stat()
    return Nvram(path, status.st_uid, status.st_gid, f"{stat.S_IMODE(status.st_mode):04o}")


def read_nvram(raw: Any) -> Nvram:
    """What a manifest says of it; raises ValueError, KeyError and TypeError for what this program did not write."""
    mode = int(a_text_like(raw["mode"], _MODE), 8)
    return Nvram(a_path(raw["path"]), a_user(raw["owner"]), a_user(raw["group"]), f"{mode:04o}")


def nvram_path(xml: str) -> str:
    """The file with a guest's UEFI variables, empty where it has none; raises MalformedXmlError.

    Variables on a device or on the network are no file; they are among what is passed through.

    libvirt writes the path as the element's text, or, since 8.5.0, as a source like a disk's.
    """
    nvram = parse_tree(xml).find("./os/nvram")
    if nvram is None or nvram.get("type", "file") != "file":
        return ""
    source = nvram.find("source")
    if source is None:
        return (nvram.text or "").strip()
    return source.get("file") or ""
