"""The way to images through libvirt's storage: for whoever may not open them, and for images on another machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from time import monotonic

from tui.backup.copying import FileMark, SourceChangedError, create_target, finish_target
from tui.backup.images import HEADER_BYTES, ImageError, ImageInfo, first_table, parse_header
from tui.backup.landing import CHUNK, Landing
from tui.backup.meter import Meter
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.backup.reach import Ask, FileSystem, ImageLook, OverlaySize
from tui.backup.reach_files import file_system
from tui.hosts.port import Host, HostError
from tui.hosts.storage import Storage, Volume
from tui.hosts.uris import is_remote
from tui.model.guest import PowerState

WINDOW = 32 * 1024 * 1024
"""Bytes asked for at once, a multiple of CHUNK: the most that waits in memory where the target is slower."""
TABLE_LIMIT = 32 * 1024 * 1024
"""Bytes of a qcow2's first table that are read; QEMU itself opens no larger one (QCOW_MAX_L1_SIZE)."""
ROOM_EVERY_S = 5.0
"""Seconds between two looks of a pool at its folder while a copy runs."""


class StreamReach:
    """See `reach.Reach`. `pool_name` begins the names of the pools that are made where none holds an image."""

    def __init__(self, ask: Ask, ask_once: Ask, plan: BackupPlan, pool_name: str) -> None:
        self._ask = ask
        self._ask_once = ask_once
        self._plan = plan
        self._pool_name = pool_name
        self._is_elsewhere = is_remote(plan.uri)
        self._room: tuple[float, int] = (float("-inf"), 0)

    def _storage(self, host: Host) -> Storage:
        return host.storage(self._pool_name)

    async def look(self, path: str, image_format: ImageFormat) -> ImageLook | None:
        """What the volume's XML and the image's first bytes say."""
        volume = await self._volume(path)
        if volume is None:
            return None
        head = await self._read(path, 0, HEADER_BYTES) if image_format is ImageFormat.QCOW2 else b""
        return ImageLook(
            length=_length(volume),
            data_bytes=min(volume.allocation, _length(volume)),
            header=parse_header(head),
            mark=FileMark(_length(volume), volume.modified_ns, 0),
            is_file=volume.is_file,
            owner=volume.owner,
            group=volume.group,
            mode=volume.mode,
        )

    async def info(self, path: str, image_format: ImageFormat) -> ImageInfo:
        """The same, once no running guest has the image or a job on it: there is no lock that could be asked for."""
        volume = await self._volume(path)
        if volume is None:
            raise ImageError("The image is not there", cause=path)
        writers = await self._writers(path)
        if writers:
            raise ImageError("The image is in use", cause=f"{path} by {', '.join(writers)}")
        return ImageInfo(volume.format, volume.capacity, volume.backing)

    async def exists(self, path: str) -> bool:
        """What this machine sees itself, where it may look; else what the pool sees."""
        if not self._is_elsewhere:
            try:
                await asyncio.to_thread(os.lstat, path)
            except FileNotFoundError:
                return False
            except PermissionError:
                return await self._volume(path) is not None
            return True
        return await self._volume(path) is not None

    async def file_system(self, folder: str) -> FileSystem | None:
        """Where a folder lies; libvirt may write there."""
        here = None if self._is_elsewhere else await asyncio.to_thread(file_system, folder)
        free = await self._ask(lambda host: self._storage(host).free_bytes(folder))
        return FileSystem(here.device if here is not None else 0, free, writable=True)

    async def overlay_size(self, disk: PlannedDisk) -> OverlaySize | None:
        """What the domain says of its image in use, and the pool of the room; None where they do not answer at once."""
        now = monotonic()
        try:
            sizes = await self._ask_once(lambda host: host.block_sizes(self._plan.uuid, disk.overlay))
            if now - self._room[0] >= ROOM_EVERY_S:
                folder = os.path.dirname(disk.overlay)  # noqa: PTH120 - a plain string, maybe of another machine
                self._room = (now, await self._ask_once(lambda host: self._storage(host).free_bytes(folder)))
        except HostError:
            return None
        return OverlaySize(sizes.allocation, self._room[1])

    async def copy(self, disk: PlannedDisk, target: str, meter: Meter) -> str:
        """Download the base in parts; after a lost connection it goes on where it was."""
        look = await self.look(disk.base, disk.format)
        if look is None:
            raise ImageError("The image is not there", cause=disk.base)
        descriptor = await asyncio.to_thread(create_target, target)
        inflow = Inflow(Landing(meter, descriptor), meter)
        try:
            while inflow.position < look.length:
                await self._receive_part(disk.base, look.length, inflow)
            digest = await asyncio.to_thread(inflow.end)
            await asyncio.to_thread(finish_target, descriptor, look.length)
        except BaseException:
            # A download that hangs may still bring pieces: none of them is written any more.
            inflow.give_up()
            raise
        finally:
            os.close(descriptor)
        return digest

    async def _receive_part(self, path: str, length: int, inflow: Inflow) -> None:
        def receive(host: Host) -> Awaitable[None]:
            begin = inflow.position
            end = min(length, begin - begin % WINDOW + WINDOW)
            return self._storage(host).receive(path, begin, end - begin, inflow)

        before = inflow.position
        await self._ask(receive)
        if inflow.position == before:
            raise SourceChangedError("The image became shorter while it was copied", cause=f"{path} at byte {before}")

    async def holds_nothing(self, path: str) -> bool:
        """Whether the first table of an overlay has no entry."""
        if not await self.exists(path):
            return True
        table = first_table(await self._read(path, 0, HEADER_BYTES))
        if table is None or table.length > TABLE_LIMIT:
            return False
        content = await self._read(path, table.offset, table.length)
        return len(content) == table.length and not any(content)

    async def delete(self, path: str) -> None:
        """Let libvirt delete an image; the pool is asked whether it is gone."""
        await self._ask(lambda host: self._storage(host).delete(path))

    async def close(self) -> None:
        """Remove the pools that were made."""
        await self._ask(lambda host: self._storage(host).close())

    async def _volume(self, path: str) -> Volume | None:
        return await self._ask(lambda host: self._storage(host).volume(path))

    async def _read(self, path: str, offset: int, length: int) -> bytes:
        return await self._ask(lambda host: self._storage(host).read(path, offset, length))

    async def _writers(self, path: str) -> list[str]:
        names = next((disk.names for disk in self._plan.disks if disk.base == path), (path,))
        return [
            facts.name
            for facts in await self._ask(lambda host: host.list_domains())
            if facts.power is not PowerState.OFF
            and any(
                disk.source in names or (disk.mirror_job and path in (disk.source, *disk.backing))
                for disk in facts.disks
            )
        ]


class Inflow:
    """Joins the pieces of a download to chunks for a `Landing`; `position` is the byte that comes next."""

    def __init__(self, landing: Landing, meter: Meter) -> None:
        self._landing = landing
        self._meter = meter
        self._buffer: memoryview | None = None
        self._filled = 0
        self.position = 0

    def data(self, piece: bytes) -> None:
        """Take bytes; raises OSError and CancelledBackupError."""
        rest = memoryview(piece)
        while rest:
            if self._buffer is None:
                self._meter.wait(0)
                self._buffer = self._landing.buffer()
            # Chunks end on multiples of CHUNK, whatever a hole before them left.
            count = min(len(rest), CHUNK - self.position % CHUNK)
            self._buffer[self._filled : self._filled + count] = rest[:count]
            self._filled += count
            self.position += count
            rest = rest[count:]
            if self.position % CHUNK == 0:
                self._flush()

    def hole(self, length: int) -> None:
        """Take zeros; raises OSError and CancelledBackupError."""
        self._flush()
        self._landing.hole(length)
        self.position += length

    def end(self) -> str:
        """The sum of everything in hexadecimal."""
        self._flush()
        return self._landing.end()

    def give_up(self) -> None:
        """End without a sum."""
        self._landing.give_up()

    def _flush(self) -> None:
        if self._buffer is None:
            return
        buffer, count = self._buffer, self._filled
        self._buffer, self._filled = None, 0
        self._meter.wait(self._meter.throttle.pause_s(count, monotonic()))
        self._landing.data(buffer, count, self.position - count)


def _length(volume: Volume) -> int:
    """A file's own length; of a device, which has none of its own, its capacity."""
    return volume.physical if volume.is_file else volume.capacity
