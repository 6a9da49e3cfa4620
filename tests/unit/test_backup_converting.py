"""A conversion whose target is full: it is begun anew once there is room, and ends where there will be none."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.backup import converting
from tui.backup.converting import FullTargetError, convert
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.meter import Meter
from tui.backup.watched import FULL_WORDS, watched

MIB = 1 << 20
FAKE_QEMU_IMG = """#!/bin/sh
for target; do :; done
echo x >>"$0.tries"
if [ -e "$0.full" ]; then
    dd if=/dev/zero of="$target" bs=64k count=64 status=none
    [ ! -e "$0.gone" ] || rm "$target"
    printf '    (40.00/100%%)\\r'
    printf 'qemu-img:' >&2
    sleep 0.2
    echo " error while writing at byte 4194304: $(cat "$0.full")" >&2
    exit 1
fi
exec {real} "$@"
"""


class FakeFullTarget:
    """A file system with as much room as it is told, and a `qemu-img` that finds it full while it is said to be."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "bin" / "qemu-img"
        self.free = 4 * MIB
        self.looks = 0
        self.at_look: Callable[[], None] = lambda: None
        self.said_full = folder / "bin" / "qemu-img.full"
        self.said_full.write_text("No space left on device")

    def free_bytes(self, target: str) -> int:
        self.looks += 1
        self.at_look()
        return self.free

    def make_room(self) -> None:
        self.free = 6 * MIB
        self.said_full.unlink(missing_ok=True)

    @property
    def tries(self) -> int:
        return len(self.program.with_name("qemu-img.tries").read_text().split())


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFullTarget:
    found = subprocess.run(["which", "qemu-img"], capture_output=True, check=True, text=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    fake = FakeFullTarget(tmp_path)
    fake.program.write_text(FAKE_QEMU_IMG.format(real=found))
    fake.program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(converting, "_free_bytes", fake.free_bytes)
    monkeypatch.setattr(converting, "POLL_S", 0.01)
    return fake


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    source = tmp_path / "disk.raw"
    source.write_bytes(b"what the guest wrote".ljust(MIB, b"."))
    return ("convert", "-p", "-f", "raw", "-O", "raw", str(source), str(tmp_path / "copy.raw"))


async def test_it_begins_anew_once_there_is_more_room_than_it_had_come_to_take(
    full: FakeFullTarget, words: tuple[str, ...]
) -> None:
    target, meter, shares = Path(words[-1]), Meter(), list[float]()
    target.touch(0o600)
    seen = list[tuple[bool, int]]()

    def look() -> None:
        seen.append((meter.full, target.stat().st_size))
        # As much as it had taken is not enough: that is what was full.
        if full.looks == 3:
            full.make_room()

    full.at_look = look
    await convert(words, shares.append, meter)
    assert seen == [(False, 0), (True, 0), (True, 0)]
    assert not meter.full
    assert full.tries == 2
    assert target.read_bytes() == Path(words[-2]).read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert shares[:2] == [0.4, 0]
    assert shares[-1] == 1


async def test_a_file_that_could_not_even_be_begun_stays_its_users_alone(
    full: FakeFullTarget, words: tuple[str, ...]
) -> None:
    full.program.with_name("qemu-img.gone").touch()
    full.free = 0
    full.at_look = lambda: full.make_room() if full.looks == 2 else None
    await convert(words, lambda share: None, Meter())
    target = Path(words[-1])
    assert target.read_bytes() == Path(words[-2]).read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600


async def test_the_order_to_stop_ends_the_wait(full: FakeFullTarget, words: tuple[str, ...]) -> None:
    meter = Meter()
    full.at_look = lambda: meter.stop.set() if full.looks == 2 else None
    with pytest.raises(CancelledBackupError):
        await asyncio.wait_for(convert(words, lambda share: None, meter), 30)
    assert full.tries == 1


async def test_room_that_is_told_and_not_given_comes_to_an_end(full: FakeFullTarget, words: tuple[str, ...]) -> None:
    full.free = 100 * MIB
    with pytest.raises(FullTargetError) as raised:
        await convert(words, lambda share: None, Meter())
    assert full.tries == converting.TRIES
    assert "Make room" in raised.value.next_step


async def test_a_quota_is_told_at_once_for_no_file_system_tells_when_there_is_room(
    full: FakeFullTarget, words: tuple[str, ...]
) -> None:
    full.said_full.write_text("Disk quota exceeded")
    with pytest.raises(BackupError) as raised:
        await convert(words, lambda share: None, Meter())
    assert full.tries == 1
    assert raised.value.cause.endswith("Disk quota exceeded")
    assert "Make room" in raised.value.next_step


async def test_a_target_that_is_full_is_not_told_to_be_silent(tmp_path: Path) -> None:
    """Nothing moves while a conversion waits for room; how long that may take is another patience."""
    meter, told, enough = Meter(full=True), list[str](), asyncio.Event()
    meter.owe(-1000)

    async def work() -> str:
        await enough.wait()
        return "done"

    async def look(waiting: str) -> BackupError | None:
        told.append(waiting)
        if len(told) == 2:
            enough.set()
        return None

    assert await watched(work(), meter, look, tmp_path, room_s=600, silent_s=1) == "done"
    assert set(told) == {FULL_WORDS}
