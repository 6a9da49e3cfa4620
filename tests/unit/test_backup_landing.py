"""The far end of a copy, on real files: what it writes, sums up, and says when it cannot."""

import fcntl
import hashlib
import os
import tempfile
import threading
from pathlib import Path

import pytest

from tui.backup import landing as far_end
from tui.backup.copying import copy_file
from tui.backup.direct import ALIGNMENT, DirectFile, aligned_memory
from tui.backup.errors import CancelledBackupError
from tui.backup.landing import BUFFERS, CHUNK, Landing
from tui.backup.meter import Meter


def landed(landing: Landing, pieces: int) -> str:
    for number in range(pieces):
        buffer = landing.buffer()
        buffer[:] = bytes([number % 251 + 1]) * CHUNK
        landing.data(buffer, CHUNK, number * CHUNK)
    return landing.end()


def test_what_fails_on_a_thread_is_raised_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"), Landing(Meter(), descriptor) as landing:
            landed(landing, 3 * BUFFERS)
    finally:
        os.close(descriptor)


def test_terabytes_of_holes_are_given_up_at_once(tmp_path: Path) -> None:
    meter = Meter()
    with Landing(meter, None) as landing:
        landing.hole(1 << 50)
        meter.stop.set()
        with pytest.raises(CancelledBackupError):
            landing.end()
        landing.give_up()
    assert meter.skipped < 1 << 50


def begun_on(target: str, meter: Meter) -> tuple[Landing, int]:
    """A landing that was handed one piece, and its target's descriptor."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT, 0o600)
    landing = Landing(meter, descriptor)
    buffer = landing.buffer()
    buffer[:] = b"x" * CHUNK
    landing.data(buffer, CHUNK, 0)
    return landing, descriptor


def gives_up_by_itself(landing: Landing) -> bool:
    """Whether giving up waits for nobody."""
    giving_up = threading.Thread(target=landing.give_up, daemon=True)
    giving_up.start()
    giving_up.join(10)
    return not giving_up.is_alive()


def test_a_full_target_is_given_up_without_an_order_to_stop() -> None:
    meter = Meter()
    landing, descriptor = begun_on("/dev/full", meter)
    while not meter.full:
        meter.wait(0.01)
    assert gives_up_by_itself(landing)
    os.close(descriptor)
    writer, summer = landing._threads
    writer.join(30)
    summer.join(30)
    assert not writer.is_alive()
    assert not summer.is_alive()
    with pytest.raises(CancelledBackupError):
        landing.buffer()


def test_a_write_that_hangs_holds_up_nobody_who_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, answers = threading.Event(), threading.Event()

    def fake_write_to_a_dead_server(*_: object) -> None:
        hangs.set()
        answers.wait()

    monkeypatch.setattr(far_end, "_write", fake_write_to_a_dead_server)
    landing, descriptor = begun_on(str(tmp_path / "a"), Meter())
    assert hangs.wait(30)
    given_up = gives_up_by_itself(landing)
    os.close(descriptor)
    # The number may be another file's now; the writer keeps to a descriptor of its own and closes that one.
    other = os.open(tmp_path / "b", os.O_WRONLY | os.O_CREAT)
    answers.set()
    landing._threads[0].join(30)
    assert given_up
    assert other == descriptor
    os.close(other)


def test_a_file_system_without_direct_transfers_gets_the_same_copy() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        source, target = Path(name, "a"), Path(name, "b")
        source.write_bytes(os.urandom(2 * CHUNK + 17))
        assert copy_file(str(source), str(target), Meter()) == hashlib.sha256(source.read_bytes()).hexdigest()
        assert target.read_bytes() == source.read_bytes()


def test_only_aligned_transfers_are_direct(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    try:
        file, memory = DirectFile(descriptor), aligned_memory(2 * ALIGNMENT)
        if (direct := is_direct_after(file, memory, 0)) is None:
            pytest.skip("this file system knows no direct transfers")
        assert direct
        assert not is_direct_after(file, memory[:100], ALIGNMENT)
        assert not is_direct_after(file, memory, 3 * ALIGNMENT + 1)
        assert is_direct_after(file, memory, 4 * ALIGNMENT)
    finally:
        os.close(descriptor)


def is_direct_after(file: DirectFile, piece: memoryview, offset: int) -> bool | None:
    """Whether the descriptor is in direct mode after a write; None where it cannot be."""
    assert file.write(piece, offset) == len(piece)
    try:
        os.close(os.open(f"/proc/self/fd/{file.descriptor}", os.O_RDONLY | os.O_DIRECT))
    except OSError:
        return None
    return bool(fcntl.fcntl(file.descriptor, fcntl.F_GETFL) & os.O_DIRECT)
