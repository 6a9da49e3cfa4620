"""The sum of a sparse file is sha256sum's, and a second reading does not sum its zeros up again."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from tui.backup import sparse_sum
from tui.backup.copying import copy_file, hash_file
from tui.backup.meter import Meter
from tui.backup.sparse_sum import SparseSum, ZeroSums

Extents = list[tuple[bytes, int]]
"""Data, and the zeros behind it."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_sum, "STEP", 64)
    monkeypatch.setattr(sparse_sum, "MARK_EVERY", 256)
    monkeypatch.setattr(sparse_sum, "_ZEROS", bytes(64))


def some_content(draw: random.Random) -> bytes:
    """Runs of data and of zeros, some of them at the ends of blocks and some not."""
    pieces = []
    for _ in range(draw.randint(0, 6)):
        pieces.append(draw.randbytes(draw.choice([0, 1, 63, 64, 100, 512])))
        pieces.append(bytes(draw.choice([0, 1, 64, 200, 256, 1000, 5000])))
    return b"".join(pieces)


def read_in_parts(content: bytes, known: ZeroSums, draw: random.Random) -> tuple[str, int]:
    """The sum, and how many steps its zeros took; which of the zeros are holes is another matter each time."""
    summed, at, steps = SparseSum(known), 0, 0
    while at < len(content):
        count = draw.randint(1, max(1, min(2000, len(content) - at)))
        part = content[at : at + count]
        if not any(part) and draw.random() < 0.8:
            steps += len(list(summed.zeros(len(part))))
        else:
            summed.data(memoryview(part))
        at += len(part)
    return summed.hexdigest(), steps


@pytest.mark.parametrize("seed", range(300))
def test_the_sum_is_that_of_every_byte_however_the_holes_lie_in_either_reading(seed: int) -> None:
    draw = random.Random(seed)
    content, known = some_content(draw), ZeroSums()
    wanted = hashlib.sha256(content).hexdigest()
    assert read_in_parts(content, known, draw)[0] == wanted
    for _ in range(3):
        assert read_in_parts(content, known, draw)[0] == wanted


@pytest.mark.parametrize("seed", range(300))
def test_what_differs_from_the_first_reading_gets_its_own_sum(seed: int) -> None:
    draw = random.Random(seed)
    content, known = bytearray(some_content(draw) or b"x"), ZeroSums()
    read_in_parts(bytes(content), known, draw)
    for _ in range(3):
        changed = bytearray(content)
        match draw.choice(["byte", "longer", "shorter", "moved"]):
            case "byte":
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
            case "longer":
                changed += bytes(draw.choice([1, 64, 3000]))
            case "shorter":
                del changed[draw.randrange(len(changed)) :]
            case "moved":
                changed[:0] = bytes(draw.choice([1, 64, 256]))
        got, _ = read_in_parts(bytes(changed), known, draw)
        assert got == hashlib.sha256(changed).hexdigest()


def test_the_second_reading_leaps_over_the_zeros() -> None:
    zeros = 100_000
    known = ZeroSums()
    first, second = SparseSum(known), None
    first.data(memoryview(b"head"))
    assert len(list(first.zeros(zeros))) > zeros // 64
    first.data(memoryview(b"tail"))
    wanted = first.hexdigest()
    second = SparseSum(known)
    second.data(memoryview(b"head"))
    steps = list(second.zeros(zeros))
    assert (len(steps), sum(steps)) == (1, zeros)
    second.data(memoryview(b"tail"))
    assert second.hexdigest() == wanted
    # Where the copy's hole begins and ends at other bytes, little more than what is at its ends is summed up.
    third = SparseSum(known)
    third.data(memoryview(b"head" + bytes(10)))
    assert len(list(third.zeros(zeros - 20))) <= 2 * (256 // 64 + 2)
    third.data(memoryview(bytes(10) + b"tail"))
    assert third.hexdigest() == wanted


def test_a_copys_verification_takes_the_sums_of_its_holes_over(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.raw", tmp_path / "b.raw"
    with source.open("wb") as file:
        for number in range(4):
            file.seek(number * 300_000)
            file.write(os.urandom(5000))
        file.truncate(2_000_000)
    meter = Meter()
    digest = copy_file(str(source), str(copy), meter)
    again = Meter(zeros=meter.zeros)
    assert digest == hash_file(str(copy), again) == hashlib.sha256(source.read_bytes()).hexdigest()
    assert meter.zeros.marks
    assert (again.done + again.skipped, meter.done + meter.skipped) == (2_000_000, 2_000_000)
    with copy.open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"!")
    changed = hash_file(str(copy), Meter(zeros=meter.zeros))
    assert changed == hashlib.sha256(copy.read_bytes()).hexdigest()
