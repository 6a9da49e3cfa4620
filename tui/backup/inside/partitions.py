"""Where on a disk there are file systems, and of which kind: from its first bytes and those of its parts. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

SECTOR = 512
_SECTOR_SIZES = (512, 4096)
_GPT_LIMIT, _LOGICAL_LIMIT = 256, 64
_EXTENDED = frozenset({0x05, 0x0F, 0x85})
_PROTECTIVE = 0xEE
_EXT_MAGIC, _EXT_SUPERBLOCK = 0xEF53, 1024

Read = Callable[[int, int], bytes]
"""Takes an offset and a count of bytes; returns fewer, or none, behind the disk's end."""


class FsKind(StrEnum):
    """What the first bytes of a part say it is."""

    EXT = "ext"
    """ext2, ext3 or ext4."""
    XFS = "XFS"
    BTRFS = "Btrfs"
    NTFS = "NTFS"
    EXFAT = "exFAT"
    FAT = "FAT"
    ISO = "ISO 9660"
    SQUASHFS = "SquashFS"
    LVM = "LVM"
    LUKS = "LUKS"
    SWAP = "swap"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    """A partition, or with number 0 the whole disk; `offset` and `size` in bytes.

    `label` and `mounted` (where it was mounted last) are foreign text.
    """

    number: int
    offset: int
    size: int
    kind: FsKind
    label: str = ""
    mounted: str = ""


_MAGICS: tuple[tuple[int, bytes, FsKind], ...] = (
    (0, b"XFSB", FsKind.XFS),
    (0x10040, b"_BHRfS_M", FsKind.BTRFS),
    (3, b"NTFS    ", FsKind.NTFS),
    (3, b"EXFAT   ", FsKind.EXFAT),
    (82, b"FAT32   ", FsKind.FAT),
    (54, b"FAT1", FsKind.FAT),
    (0, b"LUKS\xba\xbe", FsKind.LUKS),
    (512, b"LABELONE", FsKind.LVM),
    (4086, b"SWAPSPACE2", FsKind.SWAP),
    (32769, b"CD001", FsKind.ISO),
    (0, b"hsqs", FsKind.SQUASHFS),
)
"""Offset in the part, bytes, kind: as blkid(8) tells them apart."""


def parts_of(read: Read, size: int) -> tuple[Part, ...]:
    """The parts of a disk of `size` bytes in their order; a disk without a table is one part."""
    whole = _part(read, 0, 0, size)
    if whole.kind is not FsKind.UNKNOWN:
        return (whole,)
    found = tuple(_gpt(read)) or tuple(_mbr(read))
    inside = [(number, start, length) for number, start, length in found if 0 < start < size and length > 0]
    parts = tuple(_part(read, number, start, min(length, size - start)) for number, start, length in inside)
    return parts or (whole,)


def _part(read: Read, number: int, offset: int, size: int) -> Part:
    superblock = read(offset + _EXT_SUPERBLOCK, 264)
    if len(superblock) == 264 and struct.unpack_from("<H", superblock, 56)[0] == _EXT_MAGIC:
        return Part(number, offset, size, FsKind.EXT, _text(superblock[120:136]), _text(superblock[136:200]))
    for place, magic, kind in _MAGICS:
        if read(offset + place, len(magic)) == magic:
            return Part(number, offset, size, kind)
    return Part(number, offset, size, FsKind.UNKNOWN)


def _gpt(read: Read) -> Iterator[tuple[int, int, int]]:
    """Number, start and length in bytes (UEFI specification, 5.3)."""
    for sector in _SECTOR_SIZES:
        header = read(sector, 92)
        if len(header) < 92 or header[:8] != b"EFI PART":
            continue
        table, count, width = struct.unpack_from("<QII", header, 72)
        if not 128 <= width <= 4096:
            return
        for number in range(1, min(count, _GPT_LIMIT) + 1):
            entry = read(table * sector + (number - 1) * width, 128)
            if len(entry) < 128:
                return
            first, last = struct.unpack_from("<QQ", entry, 32)
            if any(entry[:16]) and last >= first:
                yield number, first * sector, (last - first + 1) * sector
        return


def _mbr(read: Read) -> Iterator[tuple[int, int, int]]:
    """Number, start and length in bytes; logical partitions are numbered from 5."""
    for number, (kind, start, count) in enumerate(_entries(read(0, SECTOR)), 1):
        if kind in _EXTENDED:
            yield from _logical(read, start)
        elif kind not in (0, _PROTECTIVE):
            yield number, start * SECTOR, count * SECTOR


def _logical(read: Read, extended: int) -> Iterator[tuple[int, int, int]]:
    """The chain of tables in an extended partition that begins at sector `extended`."""
    table = extended
    for number in range(5, 5 + _LOGICAL_LIMIT):
        entries = _entries(read(table * SECTOR, SECTOR))
        if not entries:
            return
        (kind, start, count), (_, following, _) = entries[:2]
        if kind:
            yield number, (table + start) * SECTOR, count * SECTOR
        if not following:
            return
        table = extended + following


def _entries(sector: bytes) -> tuple[tuple[int, int, int], ...]:
    """Type, first sector and count of the four entries; none without the signature."""
    if len(sector) < SECTOR or sector[510:] != b"\x55\xaa":
        return ()
    return tuple((sector[at + 4], *struct.unpack_from("<II", sector, at + 8)) for at in range(446, 510, 16))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
