"""Copying and proving the bases while nothing writes to them, until the result's folder gets its final name."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tui.backup.boot_files import to_manifest
from tui.backup.clone_xml import clone_xml
from tui.backup.converting import compare, convert, convert_words
from tui.backup.copying import (
    SourceChangedError,
    data_bytes,
    hash_file,
    synced,
)
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.folder import ResultFolder, checksums
from tui.backup.heartbeat import with_heartbeat
from tui.backup.images import ImageError, check_image
from tui.backup.manifest import CopiedDisk, FreezeReport, copied_disk, manifest_json
from tui.backup.meter import Meter, Throttle
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.backup.prepare import GuestRecord
from tui.backup.progress import Progress, Step
from tui.backup.reach import ImageLook, OverlaySize, Reach
from tui.backup.reach_files import on_thread
from tui.backup.restore_notes import restore_notes
from tui.backup.room import RESERVE
from tui.backup.serving import served
from tui.backup.sparse_sum import ZeroSums
from tui.backup.target import Target
from tui.backup.tpm import TPM_FOLDER, state_files
from tui.backup.watched import watched
from tui.hosts.lanes import apart

PIECE = 2 * 1024 * 1024
"""Bytes that qemu-img moves at once, at most (qemu-img.c, IO_BUF_SIZE): it rests after each to keep to a rate."""


def untroubled() -> BackupError | None:
    """Nobody looks after the guest: it is off."""
    return None


@dataclass(frozen=True, slots=True)
class Capture:
    """What copying needs: the plan, the way to the images, where to, whom to tell, the rate, and how long to wait.

    `trouble_of_guest` tells why the copy has to end for the guest's sake, None where it may go on.
    """

    plan: BackupPlan
    reach: Reach
    folder: ResultFolder
    target: Target
    progress: Progress
    throttle: Throttle
    room_s: float
    trouble_of_guest: Callable[[], BackupError | None] = untroubled
    zeros: dict[str, ZeroSums] = field(default_factory=dict)
    """Of each disk, what its copy's verification need not sum up again."""

    async def copy_disks(self) -> tuple[CopiedDisk, ...]:
        """Copy every disk of the plan; raises OSError and BackupError, also where a base was written to."""
        # All are looked at before the first is copied: the last ones wait for hours.
        looks = [await self._look(disk.base, disk.format) for disk in self.plan.disks]
        return tuple([await self._copy(disk, look) for disk, look in zip(self.plan.disks, looks, strict=True)])

    async def verify_disks(self, copies: tuple[CopiedDisk, ...]) -> tuple[tuple[CopiedDisk, ...], tuple[str, ...]]:
        """Read every copy anew and compare, let qemu-img look at it; returns the copies with their sums, and remarks.

        Raises OSError and BackupError.
        """
        pairs = [await self._verify(disk, copy) for disk, copy in zip(self.plan.disks, copies, strict=True)]
        return tuple(copy for copy, _ in pairs), tuple(remark for _, remark in pairs if remark)

    async def _copy(self, disk: PlannedDisk, before: ImageLook) -> CopiedDisk:
        target = str(self.folder.disks / self.plan.copy_name(disk))
        info = await self.reach.info(disk.base, disk.format)
        below = [await self._look(path, disk.format) for path in disk.below]
        total = before.data_bytes + sum(look.data_bytes for look in below)

        async def work(meter: Meter) -> str:
            if not self.plan.is_converted(disk):
                return await self.reach.copy(disk, target, meter)
            return await self._convert(disk, target, total, meter)

        twice = 2 if self.plan.is_converted(disk) and self.reach.converts_copies else 1
        digest = await self._watched(Step.COPY, disk, twice * total, work)
        # The second look asks whether anybody has the image open for writing, too: that would be refused.
        after = await self._look(disk.base, disk.format)
        if after.mark != before.mark or await self.reach.info(disk.base, disk.format) != info:
            raise SourceChangedError("An image was written to while it was copied", cause=disk.base)
        copied = copied_disk(self.plan, disk, before, info.virtual_bytes, total, digest)
        return replace(copied, dropped_snapshots=self._dropped(disk, (before, *below)))

    def _dropped(self, disk: PlannedDisk, looks: tuple[ImageLook, ...]) -> tuple[str, ...]:
        """The snapshots within the images that a conversion leaves behind."""
        if not self.plan.is_converted(disk):
            return ()
        return tuple(name for look in looks if look.header is not None for name in look.header.snapshot_names)

    async def _convert(self, disk: PlannedDisk, target: str, total: int, meter: Meter) -> str:
        scratch = self.folder.partial / f"scratch-{disk.target}"
        opened = await self.reach.opened(disk, scratch, meter)
        rest_s = PIECE / self.plan.limit_bytes_s if self.plan.limit_bytes_s else 0
        before = meter.done

        def tick(share: float) -> None:
            meter.done = before + int(share * total)

        # Copies that were made to be converted are nobody's images.
        async with nullcontext(opened) if self.reach.converts_copies else served(opened) as source:
            await with_heartbeat(convert(convert_words(self.plan, source, target), tick, meter), meter, rest_s)
            await with_heartbeat(compare(source.base, source.format, target, ImageFormat.QCOW2), meter)
        with meter.asking():
            await apart(_remove, scratch)
        # qemu-img syncs what it makes as it begins, not as it ends: the overlay is deleted once this is verified.
        await on_thread(disk, synced, target, meter)
        return await on_thread(disk, hash_file, target, meter.uncounted())

    async def _look(self, path: str, image_format: ImageFormat) -> ImageLook:
        look = await self.reach.look(path, image_format)
        if look is None:
            raise ImageError("The image is not there", cause=path, next_step="See what removed it.")
        return look

    async def _verify(self, disk: PlannedDisk, copy: CopiedDisk) -> tuple[CopiedDisk, str]:
        path = str(self.folder.partial / copy.file)
        total = await self.target.do(partial(data_bytes, path), self.tell_verify)
        remark = ""

        async def work(meter: Meter) -> str:
            nonlocal remark
            digest = await on_thread(disk, hash_file, path, meter)
            remark = await with_heartbeat(check_image(path, self.plan.copy_format(disk)), meter)
            return digest

        digest = await self._watched(Step.VERIFY, disk, total, work)
        if copy.sha256 and digest != copy.sha256:
            raise BackupError(
                "The copy is not what was read from the disk",
                cause=f"{copy.file}: {digest} instead of {copy.sha256}",
                next_step="Check the target's disk and the machine's memory.",
            )
        return replace(copy, sha256=digest), remark

    def tell_verify(self, words: str) -> None:
        """Tell what the last steps before the seal wait for; nothing once they go on."""
        self.progress.doing(Step.VERIFY, words)

    async def _watched(
        self, step: Step, disk: PlannedDisk, total: int, work: Callable[[Meter], Coroutine[None, None, str]]
    ) -> str:
        """Do `work` while telling its progress, obeying the order to stop and watching the room left."""
        meter = Meter(throttle=self.throttle, zeros=self.zeros.setdefault(disk.target, ZeroSums()))

        async def look(waiting: str) -> BackupError | None:
            self.progress.tick(step, disk.target, meter.done, total, waiting=waiting, skipped=meter.skipped)
            overlays = await self._overlays()
            for each, overlay in overlays:
                self.progress.overlay(each.target, overlay.bytes, overlay.free)
            return self._trouble(overlays)

        digest = await watched(work(meter), meter, look, self.folder.final.parent, self.room_s, self.target.patience_s)
        self.progress.tick(step, disk.target, meter.done, meter.done, skipped=meter.skipped)
        return digest

    async def _overlays(self) -> tuple[tuple[PlannedDisk, OverlaySize], ...]:
        """All overlays whose size can be told now: the guest writes to every one of them, whichever disk is copied."""
        sizes = await asyncio.gather(*(self.reach.overlay_size(disk) for disk in self.plan.disks))
        return tuple((disk, size) for disk, size in zip(self.plan.disks, sizes, strict=True) if size is not None)

    def _trouble(self, overlays: tuple[tuple[PlannedDisk, OverlaySize], ...]) -> BackupError | None:
        if self.target.stop.is_set():
            return CancelledBackupError("The backup was cancelled")
        full = [
            f"{Path(disk.overlay).parent} is full ({disk.target})" for disk, size in overlays if size.free < RESERVE
        ]
        if not full:
            return self.trouble_of_guest()
        return BackupError(
            "There is no room left for the guest's writes",
            cause=", ".join(full),
            next_step="Make room beside the images and try again.",
        )


def _remove(scratch: Path) -> None:
    if scratch.is_dir():
        shutil.rmtree(scratch)


async def seal(
    capture: Capture,
    record: GuestRecord,
    copies: tuple[CopiedDisk, ...],
    freeze: FreezeReport,
    remarks: tuple[str, ...],
) -> None:
    """Write what turns the copies into a backup, the sums last; the folder can then be renamed.

    Each file is a piece of work of its own, so that of a seal that was given up none is begun any more. Raises OSError
    and BackupError.
    """
    plan, folder = capture.plan, capture.folder

    async def write(name: str, text: str) -> None:
        await capture.target.do(partial(folder.write, name, text), capture.tell_verify)

    disks = {copy.target: Path(copy.file).name for copy in copies}
    await write("vm.clone.xml", clone_xml(record.stored_xml, disks, has_nvram=record.nvram is not None))
    tpm = record.tpm
    if tpm is not None:
        names = await capture.target.do(partial(state_files, str(folder.partial / TPM_FOLDER)), capture.tell_verify)
        tpm = replace(tpm, files=tuple(names))
    beside = (record.nvram, tpm, record.boot_files, record.lacking, record.checkpoints)
    await write("RESTORE.md", restore_notes(plan, folder.final, copies, freeze, *beside))
    facts = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "autostart": record.autostart,
        "started": record.started,
        "snapshot": freeze.taken,
        "checkpoints": list(record.checkpoints),
        "nvram": asdict(record.nvram) if record.nvram is not None else None,
        "tpm": asdict(tpm) if tpm is not None else None,
        "missing": list(record.missing),
        "boot_files": to_manifest(record.boot_files),
        "verified": {"sha256": True, "qemu_img_check": True, "remarks": list(remarks)},
    }
    await write("manifest.json", manifest_json(plan, record.versions, freeze, copies, facts))
    known = {copy.file: copy.sha256 for copy in copies} | {each.file: each.sha256 for each in record.boot_files}
    sums = await capture.target.do(partial(checksums, folder.partial, known), capture.tell_verify)
    await write("SHA256SUMS", sums)
