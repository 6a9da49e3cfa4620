"""What an image itself says of the files that belong to it: read without a lock, fit for images in use. Blocks."""

from __future__ import annotations

import json
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui.backup.images import QCOW2_MAGIC

_HEAD_BYTES = 64 * 1024
"""The header, its extensions and the backing name lie in the first cluster; the smallest default one is that large."""
_NAME_LIMIT = 1023
"""Bytes of a backing file's name (docs/interop/qcow2.txt)."""
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441
_DEPTH = 64


@dataclass(frozen=True, slots=True)
class References:
    """What a qcow2 image names: the image it lies on, its format in a word, and the file that holds its data.

    Each is an absolute path, or empty: where the image names none, or one that is no file of a machine (nbd, http).
    """

    backing: str = ""
    backing_format: str = ""
    data_file: str = ""


def references_of(path: str) -> References:
    """What the image at `path` names; nothing where it is no qcow2.

    Raises OSError where it cannot be read or is neither a file nor a block device, ValueError where its header names
    something that cannot be understood.
    """
    head = _read_head(path)
    if len(head) < 72 or head[:4] != QCOW2_MAGIC:
        return References()
    (version, offset, length) = struct.unpack_from(">IQI", head, 4)
    if offset and (length > _NAME_LIMIT or offset + length > len(head)):
        raise ValueError(f"{path}: its header names a backing file that is not there")
    name = head[offset : offset + length].decode("utf-8", "surrogateescape") if offset else ""
    extensions = _extensions(head, struct.unpack_from(">I", head, 100)[0] if version >= 3 and len(head) >= 104 else 72)
    return References(
        backing=_file_of(name, path),
        backing_format=extensions.get(_BACKING_FORMAT, b"").decode("ascii", "replace"),
        data_file=_file_of(extensions.get(_DATA_FILE, b"").decode("utf-8", "surrogateescape"), path),
    )


def _read_head(path: str) -> bytes:
    # A FIFO would be waited for; what is no image is not read at all.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise OSError(f"{path} is neither a file nor a block device")
        return os.pread(descriptor, _HEAD_BYTES, 0)
    finally:
        os.close(descriptor)


def _extensions(head: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0 or at + 8 + length > len(head):
            break
        found[kind] = head[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8
    return found


def _file_of(name: str, image: str) -> str:
    """The absolute path that QEMU makes of a name in `image`'s header; empty for one that is no file."""
    if not name:
        return ""
    if name.startswith("json:"):
        name = _json_file(name.removeprefix("json:"))
        return str(Path(image).parent / name) if name else ""
    scheme, colon, rest = name.partition(":")
    if colon and "/" not in scheme:
        # QEMU takes what stands before the first colon for a protocol (path_has_protocol of its block layer).
        if scheme not in ("file", "host_device"):
            return ""
        name = rest
    return str(Path(image).parent / name)


def _json_file(text: str) -> str:
    """The file in a `json:` name of QEMU's, empty where it names none; raises ValueError."""
    try:
        node: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    for _ in range(_DEPTH):
        if not isinstance(node, dict):
            return ""
        filename = node.get("filename", node.get("file.filename"))
        if isinstance(filename, str):
            driver = node.get("driver", node.get("file.driver", "file"))
            return filename.removeprefix("file:") if driver in ("file", "host_device", "raw", "qcow2") else ""
        node = node.get("file")
    return ""
