"""The QEMU processes of this machine that run a guest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def processes_of_guest(uuid: str) -> Iterator[int]:
    """Those that a domain's UUID was given to, by their command lines."""
    wanted = uuid.encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"-uuid" in words and wanted in words and b"qemu" in words[0]:
            yield int(folder.name)
