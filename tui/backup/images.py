"""Image files: what their headers and qemu-img say of them."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.plan import ImageFormat

QCOW2_MAGIC = b"QFI\xfb"
HEADER_BYTES = 104
_EXTERNAL_DATA = 1 << 2
"""Incompatible feature bit 2 (docs/interop/qcow2.txt): the guest's data is in another file."""
_OUTPUT_LIMIT = 4 * 1024 * 1024
_LEAKS_ONLY, _NOT_SUPPORTED = 3, 63
"""Exit codes of `qemu-img check`: clusters leaked and nothing worse; the format knows no check."""


class ImageError(BackupError):
    """An image is not what it has to be, or could not be looked at."""


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a qcow2 header (versions 2 and 3) that decides whether a copy of the file is a copy of the disk."""

    has_backing: bool
    encrypted: bool
    external_data: bool
    virtual_bytes: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What `qemu-img info` says; `virtual_bytes` is the disk's size, `backing` the path of the image below."""

    format: str
    virtual_bytes: int
    backing: str


def parse_header(head: bytes) -> Header | None:
    """The header in the first bytes of a file; None where it is no qcow2."""
    if len(head) < 72 or head[:4] != QCOW2_MAGIC:
        return None
    (version, backing_offset, _, _, virtual_bytes, crypt) = struct.unpack_from(">IQIIQI", head, 4)
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    return Header(backing_offset != 0, crypt != 0, bool(features & _EXTERNAL_DATA), virtual_bytes)


@dataclass(frozen=True, slots=True)
class TableSpan:
    """Where the first table of a qcow2 image lies, in bytes (L1 table of docs/interop/qcow2.txt)."""

    offset: int
    length: int


def first_table(head: bytes) -> TableSpan | None:
    """The table whose entries, all zero, tell that an image holds no data of its own.

    None where the bytes are no qcow2 header, or the image has internal snapshots with tables of their own.
    """
    if parse_header(head) is None or len(head) < 64:
        return None
    entries, offset = struct.unpack_from(">IQ", head, 36)
    snapshots = struct.unpack_from(">I", head, 60)[0]
    return TableSpan(offset, entries * 8) if not snapshots else None


def read_header(path: str) -> Header | None:
    """The qcow2 header of a file, read without a lock: fit for an image in use. Raises OSError."""
    with Path(path).open("rb") as file:
        return parse_header(file.read(HEADER_BYTES))


async def image_info(path: str, image_format: ImageFormat) -> ImageInfo:
    """Ask `qemu-img info`, which takes a shared lock; raises ImageError, also where somebody writes to the image."""
    code, out, err = await run_program("qemu-img", "info", "--output=json", "-f", image_format, path)
    if code != 0:
        raise ImageError(
            "The image could not be opened",
            cause=path,
            next_step="See whether another program is using it.",
            original=err,
        )
    try:
        raw = json.loads(out)
        return ImageInfo(str(raw["format"]), int(raw["virtual-size"]), str(raw.get("full-backing-filename", "")))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError("qemu-img's description of an image could not be read", cause=path, original=out) from error


async def check_image(path: str, image_format: ImageFormat) -> str:
    """Let `qemu-img check` look at an image nobody uses; returns a remark, empty where there is none.

    Raises ImageError where the image's structure is damaged.
    """
    if image_format is ImageFormat.RAW:
        return ""
    code, out, err = await run_program("qemu-img", "check", "-q", "-f", image_format, path)
    if code in (0, _NOT_SUPPORTED):
        return ""
    if code == _LEAKS_ONLY:
        return f"{path}: space is leaked in the image, no data is affected (qemu-img check -r leaks)"
    raise ImageError(
        "The copy's structure is damaged",
        cause=path,
        next_step="The copy is the same as the guest's image byte by byte: check that image while the guest is off.",
        original=(out + err)[-2000:],
    )


async def allocates_nothing(path: str) -> bool:
    """Whether a qcow2 overlay that nobody has open holds no cluster of its own, so that nothing is lost with it."""
    if not await asyncio.to_thread(os.path.lexists, path):
        return True
    code, out, _ = await run_program("qemu-img", "map", "--output=json", "-f", ImageFormat.QCOW2, path)
    if code != 0:
        return False
    try:
        return all(int(extent["depth"]) > 0 or not extent["present"] for extent in json.loads(out))
    except (ValueError, KeyError, TypeError):
        return False


async def run_program(*argv: str) -> tuple[int, str, str]:
    """Run a program without a shell; returns exit code, output and error text. Raises ImageError where it is absent."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is missing", next_step="Install the package qemu-utils (or qemu-img).") from error
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            # Given up by whoever waited: it must not hold the lock of an image any longer.
            process.kill()
            await process.wait()
    return (
        process.returncode if process.returncode is not None else -1,
        out[:_OUTPUT_LIMIT].decode("utf-8", "replace"),
        err[:_OUTPUT_LIMIT].decode("utf-8", "replace"),
    )
