import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.backup.inside import raw_view as raw_view_module
from tui.backup.inside.debugfs import EntryKind, parse_short, with_times
from tui.backup.inside.disk import open_disk
from tui.backup.inside.errors import InsideError, NeedsCopyError
from tui.backup.inside.extract import Extracted, extract
from tui.backup.inside.partitions import FsKind, parts_of
from tui.backup.plan import ImageFormat

SECTOR, MIB = 512, 1024 * 1024
needs_e2fsprogs = pytest.mark.skipif(
    shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin") is None, reason="e2fsprogs is not installed"
)
HOSTILE = "ev\nil \x1b[31m‮"


def an_ext4(folder: Path) -> Path:
    """A file system of 16 MiB with names that no shell would like."""
    source = folder / "source"
    (source / "etc/deep").mkdir(parents=True)
    (source / "etc/hostname").write_text("web1\n")
    (source / "etc/deep" / HOSTILE).write_bytes(b"\0\xff" * 700_000)
    (source / "etc/shadow link").symlink_to("/etc/shadow")
    os.mkfifo(source / "etc/pipe")
    image = folder / "fs.raw"
    make = ("mkfs.ext4", "-q", "-L", "data \x1b[1m", "-d", str(source), str(image), "16M")
    subprocess.run(make, check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
    return image


def a_partitioned_disk(image: Path) -> Path:
    """The file system as the second of two partitions, the first being XFS by its first bytes."""
    disk = image.with_name("disk.raw")
    table = bytearray(SECTOR)
    struct.pack_into("<B3xB3xII", table, 446, 0, 0x83, 2048, 2048)
    struct.pack_into("<B3xB3xII", table, 462, 0, 0x83, 4096, 16 * MIB // SECTOR)
    table[510:] = b"\x55\xaa"
    with disk.open("wb") as file:
        file.write(table)
        file.seek(2048 * SECTOR)
        file.write(b"XFSB")
        file.seek(4096 * SECTOR)
        file.write(image.read_bytes())
    return disk


def make_qcow2(verb: str, *words: str) -> None:
    subprocess.run(("qemu-img", verb, "-q", "-O" if verb == "convert" else "-f", "qcow2", *words), check=True)


def a_gpt(entries: list[tuple[int, int]], sector: int = SECTOR) -> bytes:
    disk = bytearray(64 * sector)
    disk[sector : sector + 8] = b"EFI PART"
    struct.pack_into("<QII", disk, sector + 72, 2, len(entries), 128)
    for number, (first, last) in enumerate(entries):
        struct.pack_into("<16s16sQQ", disk, 2 * sector + number * 128, b"type" * 4, b"uuid" * 4, first, last)
    return bytes(disk)


def reading(disk: bytes) -> tuple[FsKind, ...]:
    return tuple(part.kind for part in parts_of(lambda offset, count: disk[offset : offset + count], len(disk)))


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_gpt_is_read_with_either_sector_size(sector: int) -> None:
    disk = bytearray(a_gpt([(40, 41), (50, 50)], sector))
    disk[50 * sector : 50 * sector + 4] = b"XFSB"
    parts = parts_of(lambda offset, count: bytes(disk[offset : offset + count]), len(disk))
    assert [(part.number, part.offset, part.size, part.kind) for part in parts] == [
        (1, 40 * sector, 2 * sector, FsKind.UNKNOWN),
        (2, 50 * sector, sector, FsKind.XFS),
    ]


def test_logical_partitions_are_followed_and_never_in_circles() -> None:
    disk = bytearray(100 * SECTOR)
    disk[510:512] = disk[10 * SECTOR + 510 : 10 * SECTOR + 512] = b"\x55\xaa"
    struct.pack_into("<B3xB3xII", disk, 446, 0, 0x05, 10, 80)
    struct.pack_into("<B3xB3xII", disk, 10 * SECTOR + 446, 0, 0x83, 2, 4)
    assert reading(bytes(disk)) == (FsKind.UNKNOWN,)
    disk[20 * SECTOR + 510 : 20 * SECTOR + 512] = b"\x55\xaa"
    struct.pack_into("<B3xB3xII", disk, 10 * SECTOR + 462, 0, 0x05, 10, 10)
    struct.pack_into("<B3xB3xII", disk, 20 * SECTOR + 446, 0, 0x83, 1, 3)
    struct.pack_into("<B3xB3xII", disk, 20 * SECTOR + 462, 0, 0x05, 10, 10)
    parts = parts_of(lambda offset, count: bytes(disk[offset : offset + count]), len(disk))
    assert (parts[0].number, parts[0].offset) == (5, 12 * SECTOR)
    assert (parts[1].number, parts[1].offset) == (6, 21 * SECTOR)
    assert len(parts) <= 64


@given(st.binary(max_size=4096))
def test_any_bytes_are_some_parts(disk: bytes) -> None:
    assert reading(disk)
    assert reading(disk[:510] + b"\x55\xaa" + disk)


@needs_e2fsprogs
async def test_a_disk_of_any_format_is_listed_and_read_by_inode(tmp_path: Path) -> None:
    disk = a_partitioned_disk(an_ext4(tmp_path))
    image = tmp_path / "disk.qcow2"
    make_qcow2("convert", "-f", "raw", str(disk), str(image))
    for path, image_format in ((disk, ImageFormat.RAW), (image, ImageFormat.QCOW2)):
        async with open_disk(str(path), image_format, may_copy=True) as opened:
            assert [(part.number, part.kind) for part in opened.parts] == [(1, FsKind.XFS), (2, FsKind.EXT)]
            assert opened.parts[1].label == "data \x1b[1m"
            with pytest.raises(InsideError, match="XFS") as raised:
                opened.reader(opened.parts[0])
            assert f"-a {path} -m /dev/sda1" in raised.value.next_step
            reader = opened.reader(opened.parts[1])
            root = (await reader.entries()).entries
            assert [(entry.name, entry.kind) for entry in root] == [
                ("etc", EntryKind.FOLDER),
                ("lost+found", EntryKind.FOLDER),
            ]
            etc = {entry.name: entry for entry in (await reader.entries(root[0].inode)).entries}
            assert [entry.kind for entry in etc.values()] == [
                EntryKind.FOLDER,
                EntryKind.FILE,
                EntryKind.OTHER,
                EntryKind.LINK,
            ]
            assert await reader.beginning(etc["hostname"].inode, 100) == b"web1\n"
            written = (tmp_path / "source/etc/hostname").stat().st_mtime
            assert etc["hostname"].modified == written - written % 60


@needs_e2fsprogs
async def test_a_folder_is_taken_out_whole_and_leads_nowhere_else(tmp_path: Path) -> None:
    async with open_disk(str(an_ext4(tmp_path)), ImageFormat.RAW) as opened:
        reader = opened.reader(opened.parts[0])
        etc = (await reader.entries()).entries[0]
        told: list[Extracted] = []
        done = await extract(reader, etc, tmp_path / "out", told.append)
        assert (done.files, done.folders, done.bytes) == (2, 2, 1_400_005)
        assert told[-1] == done
        assert sorted(done.left_out) == ["etc/pipe: a device, pipe or socket", "etc/shadow link: a symbolic link"]
        source, out = tmp_path / "source/etc", tmp_path / "out"
        for name in ("hostname", f"deep/{HOSTILE}"):
            assert (out / name).read_bytes() == (source / name).read_bytes()
            assert (out / name).stat().st_mode & 0o7777 == 0o600
        assert (out / "deep").stat().st_mode & 0o7777 == 0o700
        with pytest.raises(FileExistsError):
            await extract(reader, etc, tmp_path / "out", told.append)


@needs_e2fsprogs
async def test_a_damaged_file_system_is_an_error_with_words(tmp_path: Path) -> None:
    image = an_ext4(tmp_path)
    with image.open("r+b") as file:
        file.seek(1024 + 96)
        file.write(b"\xff" * 4)
    async with open_disk(str(image), ImageFormat.RAW) as opened:
        with pytest.raises(InsideError, match="cannot be read"):
            await opened.reader(opened.parts[0]).entries()


@needs_e2fsprogs
async def test_without_fuse_the_user_is_asked_before_a_copy_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_view_module, "STORAGE_DAEMON", "no-such-program")
    image = tmp_path / "disk.qcow2"
    make_qcow2("convert", "-f", "raw", str(an_ext4(tmp_path)), str(image))
    with pytest.raises(NeedsCopyError) as raised:
        async with open_disk(str(image), ImageFormat.QCOW2):
            pass
    assert 0 < raised.value.needed < 16 * MIB
    assert "no-such-program" in raised.value.cause
    async with open_disk(str(image), ImageFormat.QCOW2, may_copy=True) as opened:
        assert (await opened.reader(opened.parts[0]).entries()).entries


async def test_an_image_that_reads_another_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    make_qcow2("create", "-F", "raw", "-b", "/etc/passwd", str(image))
    with pytest.raises(InsideError, match="stand by itself"):
        async with open_disk(str(image), ImageFormat.QCOW2, may_copy=True):
            pass


def test_names_cannot_forge_entries() -> None:
    answer = b"/2/040755/0/0/.//\n/2/040755/0/0/..//\n/12/100644/0/0/a\n 13 x/5/\n/13/100644/0/0/b/7/\n\n"
    long = b"     12  100644 (1) 0 0 5 23-Nov-2026 03:13 a\n     13 x 1-Jan-1990 00:00 \n"
    entries = with_times(parse_short(answer), long)
    assert [(entry.name, entry.size) for entry in entries] == [("a\n 13 x", 5), ("b", 7)]
    assert entries[0].modified == 1795403580


@given(st.binary(max_size=300))
def test_any_answer_is_some_listing(answer: bytes) -> None:
    with_times(parse_short(answer), answer)
