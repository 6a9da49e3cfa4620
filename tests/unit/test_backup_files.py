import asyncio
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from shlex import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.backup_values import a_plan
from tui.backup.copying import copy_file, data_bytes, file_mark, hash_file, reading_rate
from tui.backup.durable import append_durably, replace_file, write_new
from tui.backup.errors import CancelledBackupError
from tui.backup.folder import checksums, folder_name, result_folder
from tui.backup.images import (
    ImageError,
    allocates_nothing,
    check_image,
    extents,
    image_info,
    parse_header,
    read_header,
    run_program,
)
from tui.backup.inside.raw_view import _bytes_of_data
from tui.backup.journal import Journal, RunStage, read_journal
from tui.backup.landing import CHUNK, HOLE
from tui.backup.meter import Meter, Throttle
from tui.backup.plan import ImageFormat
from tui.backup.runs import process_mark

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def make_sparse(path: Path, pieces: dict[int, bytes], size: int) -> None:
    with path.open("wb") as file:
        for offset, piece in pieces.items():
            file.seek(offset)
            file.write(piece)
        file.truncate(size)


@pytest.mark.parametrize(
    ("pieces", "size"),
    [
        ({}, 0),
        ({}, 3 * CHUNK + 5),
        ({0: b"a"}, 1),
        ({CHUNK - 3: os.urandom(4096)}, 2 * CHUNK),
        ({0: b"x" * 10, 5 * CHUNK: os.urandom(CHUNK + 17)}, 9 * CHUNK + 1),
        ({7 * CHUNK: b"end"}, 7 * CHUNK + 3),
    ],
)
def test_a_copy_is_exact_and_keeps_holes(tmp_path: Path, pieces: dict[int, bytes], size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    make_sparse(source, pieces, size)
    meter = Meter()
    digest = copy_file(str(source), str(target), meter)
    assert target.read_bytes() == source.read_bytes()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest() == hash_file(str(target), Meter())
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.stat().st_blocks <= source.stat().st_blocks + 8
    assert meter.done >= sum(len(piece) for piece in pieces.values())


@given(st.lists(st.booleans(), max_size=3 * CHUNK // HOLE), st.integers(0, 4097))
@settings(deadline=None, max_examples=25)
def test_parts_of_zeros_become_holes_and_no_others(filled: list[bool], rest: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "source"), Path(name, "target")
        source.write_bytes(b"".join(bytes([is_filled]) * HOLE for is_filled in filled) + b"x" * rest)
        copy_file(str(source), str(target), Meter())
        assert target.read_bytes() == source.read_bytes()
        held = sum(filled) * HOLE + -(-rest // 4096) * 4096
        # A file of many extents has a block of 4096 bytes for their list.
        assert held <= target.stat().st_blocks * 512 <= held + 4096


def test_a_flipped_bit_changes_the_sum(tmp_path: Path) -> None:
    path = tmp_path / "image"
    make_sparse(path, {CHUNK: b"data"}, 3 * CHUNK)
    before = hash_file(str(path), Meter())
    with path.open("r+b") as file:
        file.seek(CHUNK + 1)
        file.write(b"\0")
    assert hash_file(str(path), Meter()) != before


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_file(str(tmp_path / "a"), str(tmp_path / "b"), Meter())
    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_stopped_copy_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"data")
    meter = Meter()
    meter.stop.set()
    with pytest.raises(CancelledBackupError):
        copy_file(str(tmp_path / "a"), str(tmp_path / "b"), meter)


def test_the_rate_of_an_image_is_that_of_its_data(tmp_path: Path) -> None:
    make_sparse(tmp_path / "image", {5 * CHUNK: b"x" * 100}, 9 * CHUNK)
    make_sparse(tmp_path / "holes", {}, 9 * CHUNK)
    assert reading_rate(str(tmp_path / "image"), 1) > 0
    assert reading_rate(str(tmp_path / "holes"), 1) == 0
    with pytest.raises(FileNotFoundError):
        reading_rate(str(tmp_path / "none"), 1)


def test_a_write_changes_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "image"
    make_sparse(path, {}, 4096)
    os.utime(path, ns=(1, 1))
    before = file_mark(str(path))
    with path.open("r+b") as file:
        file.write(b"x")
    assert file_mark(str(path)) != before
    assert data_bytes(str(path)) == 4096


def test_the_journal_survives_a_torn_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(RunStage.PLANNED, disks=[])
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"at": 1.0, "stage": "fre')
    assert [entry.stage for entry in read_journal(tmp_path)] == [RunStage.PLANNED]
    journal.write(RunStage.FREEZING)
    assert [entry.stage for entry in read_journal(tmp_path)] == [RunStage.PLANNED, RunStage.FREEZING]


def test_the_journal_ignores_foreign_lines(tmp_path: Path) -> None:
    lines: tuple[str, ...] = (
        "null",
        "[]",
        '{"at": "x", "stage": "done"}',
        '{"at": 1, "stage": "nowhere"}',
        "\udc80",
        "x" * 100_000,
    )
    lines += tuple(f'{{"at": {at}, "stage": "done"}}' for at in ("true", "NaN", "9" * 400))
    for line in lines:
        append_durably(tmp_path / "journal.jsonl", line)
    assert read_journal(tmp_path) == ()
    assert read_journal(tmp_path / "nowhere") == ()


def test_files_are_new_private_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, "one")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_new(path, "two")
    replace_file(path, "three")
    assert path.read_text() == "three"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_names_are_plain_and_distinct() -> None:
    assert folder_name("web-1.example") == "web-1.example"
    hostile = ["..", "../x", "a/b", "a b", "", "\x1b[2J", ".hidden", "-rf", "x" * 500, "gäst"]
    names = [folder_name(name) for name in hostile]
    assert len(set(names)) == len(names)
    assert all("/" not in name and name[0] not in ".-" and len(name) < 200 for name in names)


def test_a_result_is_partial_until_it_is_sealed(tmp_path: Path) -> None:
    folder = result_folder(a_plan(target=str(tmp_path)))
    folder.create()
    folder.write("vm.xml", "<domain/>")
    assert folder.partial.is_dir()
    assert not folder.final.exists()
    (folder.partial / "SHA256SUMS").write_text(checksums(folder.partial, {}))
    folder.seal()
    assert not folder.partial.exists()
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder.final, capture_output=True, check=False)
    assert done.returncode == 0
    assert folder.final.parent.stat().st_mode & 0o777 == 0o700


def test_headers_that_are_none_are_told_apart() -> None:
    assert parse_header(b"") is None
    assert parse_header(b"QFI\xfb" + bytes(10)) is None
    assert parse_header(bytes(200)) is None


def qemu(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


@needs_qemu_img
async def test_headers_tell_what_a_plain_copy_would_lose(tmp_path: Path) -> None:
    def create(name: str, *options: str) -> str:
        path = str(tmp_path / name)
        qemu("qemu-img", "create", "-q", "-f", "qcow2", *options, path, "1M")
        return path

    plain = create("plain.qcow2")
    header = read_header(plain)
    assert header is not None
    assert (header.virtual_bytes, header.has_backing, header.external_data) == (1 << 20, False, False)
    over = read_header(create("over.qcow2", "-b", plain, "-F", "qcow2"))
    assert over is not None
    assert over.has_backing
    assert (await image_info(str(tmp_path / "over.qcow2"), ImageFormat.QCOW2)).backing == plain
    outside = read_header(create("outside.qcow2", "-o", f"data_file={tmp_path}/data.raw"))
    assert outside is not None
    assert outside.external_data


@needs_qemu_img
async def test_a_damaged_image_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", str(path), "8M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", str(path))
    assert await check_image(str(path), ImageFormat.QCOW2) == ""
    with path.open("r+b") as file:
        file.seek(0x10000)
        file.write(b"\xff" * 0x10000)
    with pytest.raises(ImageError, match="damaged"):
        await check_image(str(path), ImageFormat.QCOW2)
    with pytest.raises(ImageError, match="could not be opened"):
        await image_info(str(tmp_path / "missing"), ImageFormat.RAW)


FRAGMENTS = 30_000
BLOCK = 4096


@pytest.fixture(scope="module")
def fragmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse raw image of so many extents that qemu-img's map of it passes 4 MiB."""
    path = tmp_path_factory.mktemp("fragmented") / "base.raw"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    for number in range(FRAGMENTS):
        os.pwrite(descriptor, b"x" * BLOCK, number * 2 * BLOCK)
    os.close(descriptor)
    return path


@needs_qemu_img
async def test_an_overlay_on_a_base_of_many_extents_is_known_to_be_empty(fragmented: Path, tmp_path: Path) -> None:
    overlay = str(tmp_path / "overlay.qcow2")
    words = ("-q", "-f", "qcow2", "-b", str(fragmented), "-F", "raw", overlay)
    assert (await run_program("qemu-img", "create", *words))[0] == 0
    assert await allocates_nothing(overlay)
    assert (await run_program("qemu-io", "-f", "qcow2", "-c", "write -z 64k 64k", overlay))[0] == 0
    assert not await allocates_nothing(overlay)
    assert not await allocates_nothing(str(fragmented))


@needs_qemu_img
async def test_a_map_of_any_length_is_read_to_its_end(fragmented: Path) -> None:
    told = [each async for each in extents(str(fragmented), ImageFormat.RAW)]
    assert sum(each.length for each in told if each.data) == FRAGMENTS * BLOCK
    assert len(told) >= 2 * FRAGMENTS - 1
    assert await _bytes_of_data(str(fragmented), ImageFormat.RAW) == FRAGMENTS * BLOCK
    with pytest.raises(ImageError):
        await _bytes_of_data(f"{fragmented}.gone", ImageFormat.RAW)


async def test_of_a_program_that_says_too_much_only_the_beginning_is_kept() -> None:
    code, out, err = await run_program("sh", "-c", "head -c 9000000 /dev/zero; echo end >&2; exit 3")
    assert (code, len(out), err) == (3, 4 * 1024 * 1024, "end\n")


async def test_a_program_whose_answer_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    task = asyncio.create_task(run_program("sh", "-c", f"echo $$ > {quote(str(begun))}; exec sleep 600"))
    while not begun.exists() or not begun.read_text():  # noqa: ASYNC110 - a process tells by its file
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert process_mark(int(begun.read_text())) is None


def test_a_higher_rate_counts_at_once_though_a_piece_waits_for_its_turn(tmp_path: Path) -> None:
    make_sparse(tmp_path / "image", {0: b"x" * (2 * CHUNK)}, 2 * CHUNK)
    meter = Meter(throttle=Throttle(1))
    copying = threading.Thread(
        target=copy_file, args=(str(tmp_path / "image"), str(tmp_path / "copy"), meter), daemon=True
    )
    copying.start()
    while not (tmp_path / "copy").exists():
        meter.wait(0.01)
    meter.throttle.set(0)
    copying.join(60)
    assert not copying.is_alive()
    assert (tmp_path / "copy").stat().st_size == 2 * CHUNK
