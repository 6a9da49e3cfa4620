import asyncio
import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.saved_folder import change_manifest, write_backup
from tui.backup.folder import checksums
from tui.backup.proof import SMALL, Reading, prove
from tui.backup.proof_note import VERIFIED, prove_and_note, read_note
from tui.backup.restore.boot_test import BOOT_TESTED, BootNote, keep_note
from tui.backup.restore.boot_test import read_note as read_boot_note
from tui.widgets.saved_text import boot_words, verified_words

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
MIB = 1024 * 1024
BIG = SMALL + 3 * MIB


def make_qcow2(path: Path, size: int, *options: str) -> None:
    subprocess.run(("qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), str(size)), check=True)


def a_backup(folder: Path) -> Path:
    """A backup with a qcow2 disk, and a raw one that is larger than what is read at once and ends within a sector."""
    write_backup(folder)
    disks = folder / "disks"
    (disks / "vdb.raw").write_bytes(os.urandom(BIG - 100))
    make_qcow2(disks / "vda.qcow2", 8 * MIB)
    write = ("qemu-io", "-c", "write -q 1M 64k", str(disks / "vda.qcow2"))
    subprocess.run(write, check=True, stdout=subprocess.DEVNULL)
    described = json.loads((folder / "manifest.json").read_text())["disks"]
    sizes = {"vda": 8 * MIB, "vdb": BIG}
    for each in described:
        content = (folder / each["file"]).read_bytes()
        each |= {"virtual_bytes": sizes[each["target"]], "sha256": hashlib.sha256(content).hexdigest()}
    change_manifest(folder, disks=described)
    return folder


def sum_up(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink(missing_ok=True)
    (folder / "SHA256SUMS").write_text(checksums(folder, {}))


async def test_a_whole_backup_is_proven_and_every_byte_is_told_of(tmp_path: Path) -> None:
    told: list[Reading] = []
    proof = await prove(a_backup(tmp_path / "b"), told.append)
    assert proof.is_good
    assert [(disk.target, disk.is_good) for disk in proof.disks] == [("vda", True), ("vdb", True)]
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].done == told[-1].total == proof.bytes > BIG
    assert {each.file for each in told} >= {"disks/vdb.raw", "disks/vda.qcow2", "manifest.json"}


def flip(folder: Path) -> None:
    with (folder / "disks/vdb.raw").open("r+b") as file:
        file.seek(17 * MIB)
        byte = file.read(1)
        file.seek(17 * MIB)
        file.write(bytes([byte[0] ^ 1]))


def cut(folder: Path) -> None:
    os.truncate(folder / "disks/vdb.raw", BIG - 612)


def cut_before_the_sums(folder: Path) -> None:
    cut(folder)
    sum_up(folder)


def remove(folder: Path) -> None:
    (folder / "disks/vdb.raw").unlink()


def put_a_pipe(folder: Path) -> None:
    remove(folder)
    os.mkfifo(folder / "disks/vdb.raw")


def lead_out(folder: Path) -> None:
    remove(folder)
    (folder / "disks/vdb.raw").symlink_to("/etc/passwd")


def leave_out_of_the_sums(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "vdb" not in line))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flip, "was changed"),
        (cut, "was changed"),
        (cut_before_the_sums, "the disk had"),
        (cut_before_the_sums, "another one in SHA256SUMS"),
        (remove, "No such file"),
        (put_a_pipe, "no plain file"),
        (lead_out, "no plain file"),
        (leave_out_of_the_sums, "is not in SHA256SUMS"),
    ],
)
async def test_damage_is_named_with_its_disk(tmp_path: Path, damage: Callable[[Path], None], words: str) -> None:
    folder = a_backup(tmp_path / "b")
    damage(folder)
    proof = await prove(folder)
    assert proof.broken == ("vdb",)
    assert words in " ".join(proof.disks[1].problems)
    assert set(proof.disks[1].problems) <= set(proof.problems)


async def test_an_image_that_reads_another_one_is_refused(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    image = folder / "disks/vda.qcow2"
    make_qcow2(image, 8 * MIB, "-F", "raw", "-b", "/etc/passwd")
    sum_up(folder)
    proof = await prove(folder)
    assert proof.broken == ("vda",)
    assert "/etc/passwd" in " ".join(proof.problems)


async def test_damage_beside_the_disks_breaks_no_disk(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    (folder / "vm.xml").write_text((folder / "vm.xml").read_text() + "\n")
    (folder / "VOID").touch()
    proof = await prove(folder)
    assert proof.broken == ()
    assert not proof.is_good
    assert "void" in proof.problems[0]
    assert proof.problems[1].startswith("vm.xml was changed")


async def test_a_look_that_is_given_up_stops_reading(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    os.truncate(folder / "disks/vdb.raw", 2**40)
    begun = asyncio.Event()
    task = asyncio.create_task(prove(folder, lambda told: begun.set() if told.done else None))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for thread in threading.enumerate():
        if thread.name.startswith(("verify-", "sha256")):
            await asyncio.to_thread(thread.join, 30)
            assert not thread.is_alive()


async def test_what_a_look_found_is_kept_until_the_backup_changes(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    await prove_and_note(folder)
    note = read_note(folder)
    assert note is not None
    assert (note.good, note.broken, note.others) == (True, (), False)
    assert (await prove(folder)).is_good
    flip(folder)
    await prove_and_note(folder)
    note = read_note(folder)
    assert note is not None
    assert (note.good, note.broken, note.others) == (False, ("vdb",), False)
    sum_up(folder)
    assert read_note(folder) is None


async def test_notes_of_others_are_read_with_distrust(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    for text in ("", "[]", '{"at": 1}', '{"at": 1e999, "good": true, "sums": ""}', "[" * 100_000):
        (folder / VERIFIED).write_text(text)
        assert read_note(folder) is None


NO_TIMES = ("true", "1e18", "1e400", "NaN", "-1", "9" * 400, '"1"', "null")


async def test_a_note_with_a_time_that_is_none_is_no_note(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    await prove_and_note(folder)
    kept = json.loads((folder / VERIFIED).read_text())
    for at in NO_TIMES:
        (folder / VERIFIED).write_text(json.dumps(kept | {"at": "AT"}).replace('"AT"', at))
        assert read_note(folder) is None, at
    (folder / VERIFIED).write_text(json.dumps(kept | {"at": 8_000_000_000}))
    assert "2223" in verified_words(read_note(folder))


def test_a_boot_test_at_a_time_that_is_none_is_none(tmp_path: Path) -> None:
    keep_note(tmp_path, BootNote(8_000_000_000, "here", "qemu:///x", passed=True, seconds=8.0, answer="Debian"))
    kept = json.loads((tmp_path / BOOT_TESTED).read_text())
    note = read_boot_note(tmp_path)
    assert note is not None
    assert "2223" in boot_words(note)
    for key in ("at", "seconds"):
        for time in NO_TIMES:
            (tmp_path / BOOT_TESTED).write_text(json.dumps(kept | {key: "TIME"}).replace('"TIME"', time))
            assert read_boot_note(tmp_path) is None, (key, time)


def verify_at_a_terminal(folder: Path) -> tuple[int, dict[str, Any], str]:
    """Exit code, answer, and what came on standard error, which is a terminal."""
    terminal, end = pty.openpty()
    command = (sys.executable, "-m", "tui", "verify", str(folder), "--json")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, check=False)
    os.close(end)
    with os.fdopen(terminal, "rb", buffering=0) as file:
        return done.returncode, json.loads(done.stdout), file.read(65536).decode()


def test_a_terminal_sees_how_far_verifying_is_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    folder = a_backup(tmp_path / "b")
    flip(folder)
    code, answer, told = verify_at_a_terminal(folder)
    assert (code, answer["good"]) == (1, False)
    assert [(disk["target"], disk["good"]) for disk in answer["disks"]] == [("vda", True), ("vdb", False)]
    lines = told.split("\r\x1b[K")
    assert any("disks/vdb.raw" in line and "%" in line for line in lines)
    assert lines[-1] == ""
    assert max(map(len, lines)) < 80


async def test_an_image_whose_data_is_in_another_file_is_no_copy(tmp_path: Path) -> None:
    """The guest would read and write that file, whatever the image calls it."""
    folder = a_backup(tmp_path / "b")
    image, foreign = folder / "disks" / "vda.qcow2", tmp_path / "foreign"
    image.unlink()
    make_qcow2(image, 8 * MIB, "-o", f"data_file={foreign},data_file_raw=on")
    described = json.loads((folder / "manifest.json").read_text())["disks"]
    described[0]["sha256"] = hashlib.sha256(image.read_bytes()).hexdigest()
    change_manifest(folder, disks=described)
    proof = await prove(folder)
    assert proof.broken == ("vda",)
    assert "in another file" in proof.problems[0]
