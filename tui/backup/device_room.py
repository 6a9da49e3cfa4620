"""Room for a qcow2 image on a block device, which does not grow by itself: what it may need, and what to type."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from shlex import quote

from tui.backup.images import Header, read_header, run_program
from tui.backup.plan import ImageFormat, PlannedDisk

CLOSE = 4 * 1024 * 1024
"""Bytes before a device's end within which an image that failed to grow had no room."""
_REFCOUNT_BYTES = 2


def most_bytes(header: Header) -> int:
    """Bytes that a qcow2 image takes once every cluster of the guest is written, without those of snapshots.

    It is what `qemu-img measure` calls the fully allocated size (docs/interop/qcow2.txt: data, L2 and L1 tables,
    refcount blocks and their table, header).
    """
    cluster = 1 << header.cluster_bits

    def clusters(count: int) -> int:
        return -(-count // cluster)

    data = clusters(header.virtual_bytes)
    tables = clusters(data * 8)
    total = 1 + data + tables + clusters(tables * 8)
    blocks = clusters(total * _REFCOUNT_BYTES)
    # The blocks count themselves, too.
    blocks = clusters((total + blocks + clusters(blocks * 8)) * _REFCOUNT_BYTES)
    return (total + blocks + clusters(blocks * 8)) * cluster


def enlarge_words(base: str, wanted_bytes: int) -> str:
    """What to type to give a device that size."""
    return f"Enlarge the device, where it is a logical volume: lvextend --size {wanted_bytes}b {quote(base)}"


async def is_full_device(disk: PlannedDisk) -> bool:
    """Whether a qcow2 image on a device of this machine reaches up to its end; False where that cannot be seen."""
    if not disk.is_device or disk.format is not ImageFormat.QCOW2:
        return False
    code, out, _ = await run_program("qemu-img", "check", "--output=json", "-f", disk.format, disk.base)
    try:
        end = int(json.loads(out)["image-end-offset"])
        length = await asyncio.to_thread(_length, disk.base)
    except (ValueError, KeyError, TypeError, OSError):
        return False
    return code in (0, 3) and length - end < CLOSE


async def enlarge_advice(disk: PlannedDisk) -> str:
    """What to do about a device that is too small for its image; empty for a file, and where it is large enough."""
    if not disk.is_device or disk.format is not ImageFormat.QCOW2:
        return ""
    try:
        header = await asyncio.to_thread(read_header, disk.base)
        length = await asyncio.to_thread(_length, disk.base)
    except OSError:
        return ""
    wanted = most_bytes(header) if header is not None else 0
    return f"{enlarge_words(disk.base, wanted)}." if wanted > length else ""


def _length(path: str) -> int:
    with Path(path).open("rb") as device:
        return device.seek(0, os.SEEK_END)
