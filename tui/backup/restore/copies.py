"""Writing the copies of a restore under names of their own: exact ones with their sums, converted ones compared."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tui.backup.control import Orders
from tui.backup.converting import COROUTINES, compare, convert
from tui.backup.copying import copy_file
from tui.backup.durable import sync_folder
from tui.backup.errors import BackupError, CancelledBackupError
from tui.backup.meter import Meter
from tui.backup.progress import Progress, Step
from tui.backup.restore.plan import RestoredFile, RestorePlan
from tui.backup.restore.saved import inside
from tui.backup.restore.tpm_copy import copy_state, give_state
from tui.backup.restore.verifying import OTHER_FILES
from tui.backup.watched import watched
from tui.hosts.lanes import Lane


@dataclass(frozen=True, slots=True)
class Copies:
    """What copying needs: the plan, whom to tell, what to obey, and how long a full target is waited for."""

    plan: RestorePlan
    progress: Progress
    orders: Orders
    room_s: float

    async def write(self) -> tuple[str, ...]:
        """Write every file's copy, on the disk when this returns; returns remarks. Raises OSError and BackupError."""
        remarks: list[str] = []
        for file in self.plan.files:
            await self._copy(file)
            remarks += await asyncio.to_thread(give_state if file.is_folder else _give, file)
        return tuple(remarks)

    async def _copy(self, file: RestoredFile) -> None:
        source = str(inside(Path(self.plan.folder), file.file))
        meter = Meter(throttle=self.orders.throttle)

        async def look(waiting: str) -> BackupError | None:
            self.progress.tick(
                Step.COPY, file.name, meter.done, file.data_bytes, waiting=waiting, skipped=meter.skipped
            )
            return CancelledBackupError("The restore was cancelled") if self.orders.stop.is_set() else None

        work = self._convert(file, source, meter) if file.is_converted else self._exactly(file, source, meter)
        await watched(work, meter, look, Path(file.to).parent, self.room_s)
        self.progress.tick(Step.COPY, file.name, meter.done, meter.done, skipped=meter.skipped)

    async def _exactly(self, file: RestoredFile, source: str, meter: Meter) -> None:
        with closing(Lane(f"copy-{file.name}", 1)) as lane:
            if file.is_folder:
                digest = await lane.call(copy_state, source, file, meter)
            else:
                digest = await lane.call(copy_file, source, file.partial, meter)
        accepted_as = file.name if file.is_disk else OTHER_FILES
        if digest != file.sha256 and accepted_as not in self.plan.accepted:
            raise BackupError(
                "The backup is not what it was",
                cause=f"{file.file}: its sum is {digest} instead of {file.sha256}",
                next_step="Verify it: qga-tui verify FOLDER.",
            )

    async def _convert(self, file: RestoredFile, source: str, meter: Meter) -> None:
        limit = self.plan.limit_bytes_s
        rate = ("-r", str(limit)) if limit else ()
        how = ("convert", "-p", "-W", "-m", str(COROUTINES), *rate, "-f", file.format, "-O", file.to_format)
        # qemu-img makes files that all may read.
        os.close(os.open(file.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        await convert(
            (*how, source, file.partial), lambda share: setattr(meter, "done", int(share * file.data_bytes)), meter
        )
        await compare(source, file.format, file.partial, file.to_format)


def _give(file: RestoredFile) -> list[str]:
    """Give the copy the owner and mode of what was saved, durably; returns why not where that is not ours to do."""
    remarks: list[str] = []
    descriptor = os.open(file.partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, file.mode)
        status = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (file.owner, file.group):
            try:
                os.fchown(descriptor, file.owner, file.group)
            except PermissionError:
                remarks.append(f"{file.to} could not be given to user {file.owner}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(Path(file.partial).parent)
    return remarks
