"""The aliases of URIs in libvirt's settings, resolved before a connection is opened: options are added to some."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tui.settings import config_folder

_ALIAS = re.compile(r"[a-zA-Z0-9_.-]+")
"""The characters of an alias (https://libvirt.org/uri.html, "URI aliases"); a URI has a colon."""
_SETTING = re.compile(r"^\s*uri_aliases\s*=\s*\[(.*?)\]", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_ENTRY = re.compile(r"""["']([^"'=]+)=([^"']+)["']""")
LIMIT = 1024 * 1024


def resolved(uri: str) -> str:
    """The URI that an alias stands for, any other as it is: what libvirt cannot resolve, it says itself."""
    if not _ALIAS.fullmatch(uri):
        return uri
    try:
        with settings_file().open("rb") as file:
            return read_aliases(file.read(LIMIT).decode("utf-8", "replace")).get(uri, uri)
    except OSError:
        return uri


def settings_file() -> Path:
    """The one file that libvirt's client reads: root's is the system's (virConnectGetConfigFilePath)."""
    return Path("/etc/libvirt/libvirt.conf") if os.geteuid() == 0 else config_folder().parent / "libvirt/libvirt.conf"


def read_aliases(text: str) -> dict[str, str]:
    """The aliases in the text of a libvirt.conf."""
    found = _SETTING.search(_COMMENT.sub("", text))
    return dict(_ENTRY.findall(found[1])) if found is not None else {}
