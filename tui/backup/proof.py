"""Whether a backup's folder is what it says: every file there, every sum right, every image sound and by itself."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from tui.backup.copying import byte_length, data_bytes, hash_file
from tui.backup.errors import BackupError, explained
from tui.backup.folder import VOID
from tui.backup.images import ImageError, check_image, image_info, read_header
from tui.backup.meter import Meter
from tui.backup.plan import ImageFormat
from tui.backup.progress import RateMeter
from tui.backup.restore.saved import SUMS, SavedBackup, SavedDisk, read_saved
from tui.hosts.lanes import Lane

SMALL = 16 * 1024 * 1024
"""Bytes below which a file is read at once."""
TICK_S = 0.25
SECTOR = 512
SHOWN = 12
"""Digits of a sum that are told; who wants them all asks sha256sum."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a look at a folder has come: the file that is read now, bytes of all files, bytes per second."""

    file: str
    done: int
    total: int
    rate: float = 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the present rate, None while there is none."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class DiskProof:
    """What came of looking at one disk of a backup."""

    target: str
    file: str
    problems: tuple[str, ...] = ()
    is_foreign: bool = False
    """It would show another file's bytes to the guest: nobody can want that."""

    @property
    def is_good(self) -> bool:
        """Whether the disk can be trusted."""
        return not self.problems


class ForeignDataError(ImageError):
    """An image names another file, whose bytes the guest would read in place of the disk's."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of looking at a folder: `problems` in words, empty where all is well; `files` and `bytes` read.

    `problems` holds those of the disks too.
    """

    folder: Path
    files: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    disks: tuple[DiskProof, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the folder holds a whole backup."""
        return not self.problems

    @property
    def broken(self) -> tuple[str, ...]:
        """The disks that are not what they were, by their names in the guest."""
        return tuple(disk.target for disk in self.disks if not disk.is_good)

    @property
    def beside_disks(self) -> tuple[str, ...]:
        """What is wrong with everything that is no disk."""
        of_disks = {problem for disk in self.disks for problem in disk.problems}
        return tuple(problem for problem in self.problems if problem not in of_disks)


Tell = Callable[[Reading], None]


def unheard(_: Reading) -> None:
    """Nobody wants to know how far it is."""


async def prove(folder: Path, tell: Tell = unheard) -> Proof:
    """Read everything in a backup's folder anew, off the event loop; `tell` hears how far that is.

    Cancelling it stops the reading. Raises BackupError where it is no backup's folder, or one whose
    manifest cannot be trusted.
    """
    with closing(Lane("verify", 1)) as lane:
        saved = await lane.call(read_saved, folder)
        found, read = await _Reader(folder, lane, tell).read(saved.sums)
    looked = [await _look(saved, disk, found.get(disk.file, ())) for disk in saved.disks]
    proofs = tuple(proof for proof, _ in looked)
    of_disks = {disk.file for disk in saved.disks}
    general = ["it is marked as void"] if (folder / VOID).exists() else []
    general += [problem for name, each in found.items() if name not in of_disks for problem in each]
    everything = (*(problem for proof in proofs for problem in proof.problems), *general)
    return Proof(folder, len(saved.sums), read, everything, tuple(remark for _, remark in looked if remark), proofs)


async def _look(saved: SavedBackup, disk: SavedDisk, found: tuple[str, ...]) -> tuple[DiskProof, str]:
    """Look at one disk of which reading it found `found`; returns a remark too, empty where there is none."""
    problems, remark, is_foreign = list(found), "", False
    if disk.file not in saved.sums:
        problems.append(f"{disk.file} is not in {SUMS}")
    elif saved.sums[disk.file] != disk.sha256:
        problems.append(f"{disk.file} has one sum in the manifest and another one in {SUMS}")
    if not disk.problem:
        try:
            remark = await _check(saved.path(disk.file), disk)
        except (BackupError, OSError) as error:
            problems.append(_words(disk.file, error))
            is_foreign = isinstance(error, ForeignDataError)
    elif not found:
        problems.append(f"{disk.file}: {disk.problem}")
    return DiskProof(disk.target, disk.file, tuple(problems), is_foreign), remark


class _Reader:
    """Reads files one after the other and tells how far it is."""

    def __init__(self, folder: Path, lane: Lane, tell: Tell) -> None:
        self._folder = folder
        self._lane = lane
        self._tell = tell
        self._rate = RateMeter()
        self._now = Reading("", 0, 0)

    async def read(self, sums: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], int]:
        """What is wrong with each file of which something is, and the bytes that were read."""
        sizes = {name: await self._lane.call(_data_bytes, self._folder / name) for name in sums}
        self._now = replace(self._now, total=sum(sizes.values()))
        problems: dict[str, tuple[str, ...]] = {}
        for name, wanted in sums.items():
            before = self._now.done
            try:
                digest = await self._hash(name, before)
            except (OSError, BackupError) as error:
                problems[name] = (_words(name, error),)
            else:
                if digest != wanted:
                    shown = f"its sum is {digest[:SHOWN]}…, not {wanted[:SHOWN]}…"
                    problems[name] = (f"{name} was changed: {shown}",)
            self._say(name, before + sizes[name])
        return problems, self._now.done

    async def _hash(self, name: str, before: int) -> str:
        meter = Meter()
        task = asyncio.create_task(self._lane.call(_digest, self._folder / name, meter))
        try:
            while not task.done():
                self._say(name, before + meter.done)
                await asyncio.wait({task}, timeout=TICK_S)
            return task.result()
        finally:
            meter.stop.set()
            task.cancel()

    def _say(self, name: str, done: int) -> None:
        total = max(self._now.total, done)
        self._now = Reading(name, done, total, self._rate.rate(monotonic(), done))
        self._tell(self._now)


def _digest(path: Path, meter: Meter) -> str:
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise BackupError("It is no plain file")
    return hash_file(str(path), meter) if status.st_size > SMALL else hashlib.sha256(path.read_bytes()).hexdigest()


def _data_bytes(path: Path) -> int:
    """Bytes to read of a file; none of one that is not there, which is found when it is read."""
    try:
        return data_bytes(str(path))
    except OSError:
        return 0


async def _check(path: Path, disk: SavedDisk) -> str:
    """Look at an image's structure; returns a remark. Raises BackupError and OSError where it is not what it has to be.

    An image that reads another one would show that file's bytes to the guest in place of the disk's.
    """
    if disk.format is ImageFormat.RAW:
        length = byte_length(str(path))
        # A raw image is shown to the guest in whole sectors.
        if -(-length // SECTOR) * SECTOR != disk.virtual_bytes:
            raise BackupError(f"It has {length} bytes, the disk had {disk.virtual_bytes}")
        return ""
    header = await asyncio.to_thread(read_header, str(path))
    if header is not None and header.external_data:
        # Not even qemu-img is let near it: it would open whatever file the image names.
        raise ForeignDataError("Its data is in another file, which is not part of the backup")
    info = await image_info(str(path), disk.format)
    if info.backing:
        raise ForeignDataError(f"It needs another image, which is not part of the backup: {info.backing}")
    if info.virtual_bytes != disk.virtual_bytes:
        raise ImageError(f"The disk in it has {info.virtual_bytes} bytes, the manifest says {disk.virtual_bytes}")
    return await check_image(str(path), disk.format)


def _words(name: str, error: Exception) -> str:
    words = explained(error)
    said = f"{words.title} {words.original}".strip() if isinstance(error, BackupError) else _plain(error)
    return f"{name}: {said}"


def _plain(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
