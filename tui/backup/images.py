"""Image files: what their headers and qemu-img say of them."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tui.backup.errors import BackupError
from tui.backup.plan import ImageFormat
from tui.hosts.children import Child, kept, running

QCOW2_MAGIC = b"QFI\xfb"
HEADER_BYTES = 104
TABLE_LIMIT = 32 * 1024 * 1024
"""Bytes of a qcow2's first table that are read; QEMU itself opens no larger one (QCOW_MAX_L1_SIZE)."""
SNAPSHOT_TABLE_LIMIT = 64 * 1024
"""Bytes of the table of internal snapshots that are read: their names are told, and nothing hangs on them."""
MOST_SNAPSHOTS = 64
_NAME_LIMIT = 200
_EXTERNAL_DATA = 1 << 2
"""Incompatible feature bit 2 (docs/interop/qcow2.txt): the guest's data is in another file."""
_OUTPUT_LIMIT = 4 * 1024 * 1024
_LEAKS_ONLY, _NOT_SUPPORTED = 3, 63
"""Exit codes of `qemu-img check`: clusters leaked and nothing worse; the format knows no check."""


class ImageError(BackupError):
    """An image is not what it has to be, or could not be looked at."""


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a qcow2 header (versions 2 and 3) that decides whether a copy of the file is a copy of the disk.

    `snapshots` counts the internal snapshots, whose table begins at byte `snapshots_offset`; a conversion drops them.
    `snapshot_names` are their names, as far as that table was read.
    """

    has_backing: bool
    encrypted: bool
    external_data: bool
    virtual_bytes: int
    snapshots: int = 0
    snapshots_offset: int = 0
    snapshot_names: tuple[str, ...] = ()
    cluster_bits: int = 16


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What `qemu-img info` says; `virtual_bytes` is the disk's size, `backing` the path of the image below.

    `backing_format` is empty where the header does not state it, or it was not asked for.
    """

    format: str
    virtual_bytes: int
    backing: str
    backing_format: str = ""


def parse_header(head: bytes) -> Header | None:
    """The header in the first bytes of a file; None where it is no qcow2."""
    if len(head) < 72 or head[:4] != QCOW2_MAGIC:
        return None
    (version, backing_offset, _, cluster_bits, virtual_bytes, crypt) = struct.unpack_from(">IQIIQI", head, 4)
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 and len(head) >= 80 else 0
    snapshots, table = struct.unpack_from(">IQ", head, 60)
    if not 9 <= cluster_bits <= 21:
        return None
    return Header(
        has_backing=backing_offset != 0,
        encrypted=crypt != 0,
        external_data=bool(features & _EXTERNAL_DATA),
        virtual_bytes=virtual_bytes,
        snapshots=snapshots,
        snapshots_offset=table,
        cluster_bits=cluster_bits,
    )


def with_snapshot_names(header: Header, table: bytes) -> Header:
    """The header with the names of its internal snapshots, out of the bytes of their table (docs/interop/qcow2.txt).

    One whose name lies beyond those bytes, or that has none, is counted: `and 3 more`.
    """
    names = _snapshot_names(header, table)
    more = (f"{'and ' if names else ''}{header.snapshots - len(names)} more",) if len(names) < header.snapshots else ()
    return replace(header, snapshot_names=(*names, *more))


def _snapshot_names(header: Header, table: bytes) -> tuple[str, ...]:
    names: list[str] = []
    at = 0
    while len(names) < min(header.snapshots, MOST_SNAPSHOTS) and at + 40 <= len(table):
        id_length, name_length = struct.unpack_from(">HH", table, at + 12)
        (extra,) = struct.unpack_from(">I", table, at + 36)
        begin = at + 40 + extra
        end = begin + id_length + name_length
        if end > len(table):
            break
        texts = table[begin : begin + id_length], table[begin + id_length : end]
        names.append(_text(texts[1] or texts[0])[:_NAME_LIMIT])
        at = (end + 7) // 8 * 8
    return tuple(names)


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
        header = parse_header(file.read(HEADER_BYTES))
        if header is None or not header.snapshots:
            return header
        file.seek(header.snapshots_offset)
        return with_snapshot_names(header, file.read(SNAPSHOT_TABLE_LIMIT))


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
        below = str(raw.get("full-backing-filename", "")), str(raw.get("backing-filename-format", ""))
        return ImageInfo(str(raw["format"]), int(raw["virtual-size"]), *below)
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
    try:
        # The map needs the locks of the images below, too, which a guest holds that is back on its base: its table
        # alone can tell that an overlay is empty then.
        await image_info(path, ImageFormat.QCOW2)
        if await asyncio.to_thread(_has_empty_table, path):
            return True
        async with aclosing(extents(path, ImageFormat.QCOW2)) as found:
            async for extent in found:
                if extent.depth == 0 and extent.present:
                    return False
    except (ImageError, OSError):
        return False
    return True


def _has_empty_table(path: str) -> bool:
    with Path(path).open("rb") as file:
        table = first_table(file.read(HEADER_BYTES))
        if table is None or table.length > TABLE_LIMIT:
            return False
        file.seek(table.offset)
        content = file.read(table.length)
    return len(content) == table.length and not any(content)


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a disk, `length` bytes long, as `qemu-img map` tells it.

    `depth` counts the images down to the one that says what is there; `present` whether one does at all; `data` whether
    that is more than zeros.
    """

    length: int
    depth: int
    present: bool
    data: bool


async def extents(path: str, image_format: ImageFormat) -> AsyncGenerator[Extent, None]:
    """The parts of an image that nobody writes to, in their order; an image may have millions, so none is kept.

    Raises ImageError where the map cannot be read to its end. To be closed by whoever does not read it all.
    """
    async with _running("qemu-img", "map", "--output=json", "-f", image_format, path) as mapping:
        # One extent to a line, between the brackets of a list (qemu-img.c, dump_map_entry).
        while line := (await _line(mapping, path)).strip():
            words = line.strip(b"[],")
            if words:
                yield _extent(words, path)
        if await mapping.process.wait() != 0:
            raise ImageError("The image cannot be read", cause=path, original=_text(await mapping.complaints()))


async def _line(mapping: Child, path: str) -> bytes:
    try:
        return await mapping.output.readline()
    except ValueError as error:
        raise ImageError("qemu-img's map of the image could not be read", cause=path, original=str(error)) from error


def _extent(words: bytes, path: str) -> Extent:
    try:
        raw = json.loads(words)
        return Extent(int(raw["length"]), int(raw["depth"]), bool(raw["present"]), bool(raw["data"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(
            "qemu-img's map of the image could not be read", cause=path, original=_text(words[:2000])
        ) from error


async def run_program(*argv: str) -> tuple[int, str, str]:
    """Run a program without a shell; returns exit code, output and error text, each up to its first 4 MiB.

    Raises ImageError where it is absent.
    """
    async with _running(*argv) as child:
        out, err = await asyncio.gather(kept(child.output, _OUTPUT_LIMIT), child.complaints())
        code = await child.process.wait()
    return code, _text(out), _text(err)


@asynccontextmanager
async def _running(*argv: str) -> AsyncIterator[Child]:
    """A program that is ended with its context, and holds no lock of an image after it.

    Raises ImageError where it is absent.
    """
    async with AsyncExitStack() as stack:
        try:
            child = await stack.enter_async_context(running(*argv, complaints_limit=_OUTPUT_LIMIT))
        except FileNotFoundError as error:
            raise ImageError(
                f"{argv[0]} is missing", next_step="Install the package qemu-utils (or qemu-img)."
            ) from error
        yield child


def _text(said: bytes) -> str:
    return said.decode("utf-8", "replace")
