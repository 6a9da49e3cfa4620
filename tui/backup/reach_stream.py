"""The way to images through libvirt's storage: for whoever may not open them, and for images on another machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

from tui.backup.copying import FileMark, SourceChangedError, create_target, finish_target
from tui.backup.heartbeat import with_heartbeat
from tui.backup.image_names import plain
from tui.backup.images import (
    HEADER_BYTES,
    SNAPSHOT_TABLE_LIMIT,
    TABLE_LIMIT,
    ImageError,
    ImageInfo,
    first_table,
    parse_header,
    run_program,
    with_snapshot_names,
)
from tui.backup.inflow import Inflow
from tui.backup.landing import Landing
from tui.backup.meter import Meter
from tui.backup.plan import BackupPlan, ImageFormat, PlannedDisk
from tui.backup.reach import Ask, FileSystem, ImageLook, OverlaySize
from tui.backup.reach_files import file_system
from tui.backup.volatile import volatile_elsewhere
from tui.hosts.lanes import Lane, apart
from tui.hosts.port import Host, HostError
from tui.hosts.same_files import are_here
from tui.hosts.storage import Storage, Volume
from tui.model.guest import PowerState
from tui.settings import PRIVATE_FOLDER

WINDOW = 32 * 1024 * 1024
"""Bytes asked for at once, a multiple of CHUNK: the most that waits in memory where the target is slower."""
ANSWER_S = 2.0
"""Seconds after which a watcher does without an answer."""
ROOM_EVERY_S = 5.0
"""Seconds between two looks of a pool at its folder while a copy runs."""


class StreamReach:
    """See `reach.Reach`.

    `pool_name` begins the names of the pools that are made where none holds an image.
    """

    converts_copies = True

    def __init__(self, ask: Ask, ask_once: Ask, plan: BackupPlan, pool_name: str) -> None:
        self._ask = ask
        self._ask_once = ask_once
        self._plan = plan
        self._pool_name = pool_name
        self._rooms: dict[str, tuple[float, int]] = {}

    def _storage(self, host: Host) -> Storage:
        return host.storage(self._pool_name)

    async def look(self, path: str, image_format: ImageFormat) -> ImageLook | None:
        """What the volume's XML and the image's first bytes say."""
        volume = await self._volume(path)
        if volume is None:
            return None
        head = await self._read(path, 0, HEADER_BYTES) if image_format is ImageFormat.QCOW2 else b""
        header = parse_header(head)
        if header is not None and header.snapshots:
            header = with_snapshot_names(header, await self._read(path, header.snapshots_offset, SNAPSHOT_TABLE_LIMIT))
        return ImageLook(
            length=_length(volume),
            data_bytes=min(volume.allocation, _length(volume)),
            header=header,
            mark=FileMark(_length(volume), volume.modified_ns, 0),
            is_file=volume.is_file,
            owner=volume.owner,
            group=volume.group,
            mode=volume.mode,
            is_device=volume.is_device,
        )

    async def info(self, path: str, image_format: ImageFormat) -> ImageInfo:
        """The same, once no running guest has the image or a job on it: there is no lock that could be asked for."""
        volume = await self._present(path)
        writers = await self._writers(path)
        if writers:
            raise ImageError("The image is in use", cause=f"{path} by {', '.join(writers)}")
        if image_format is ImageFormat.RAW:
            # Whatever a guest wrote into its first bytes, libvirt's guess at a format among them, is data.
            return ImageInfo(image_format, _length(volume), "")
        return ImageInfo(volume.format, volume.capacity, volume.backing, volume.backing_format)

    async def exists(self, path: str) -> bool:
        """What this machine sees itself, where it may look; else what the pool sees."""
        if await self._is_here(path):
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
        here = await asyncio.to_thread(file_system, folder) if await self._is_here(folder) else None
        free = await self._ask(lambda host: self._storage(host).free_bytes(folder))
        volatile = here.volatile if here is not None else volatile_elsewhere(folder)
        return FileSystem(here.device if here is not None else 0, free, writable=True, volatile=volatile)

    async def overlay_size(self, disk: PlannedDisk) -> OverlaySize | None:
        """What the domain says of its image in use, and the pool of the room; None where they do not answer at once."""
        now = monotonic()
        try:
            async with asyncio.timeout(ANSWER_S):
                sizes = await self._ask_once(lambda host: host.block_sizes(self._plan.uuid, disk.overlay))
                folder = os.path.dirname(disk.overlay)  # noqa: PTH120 - a plain string, maybe of another machine
                if now - self._rooms.get(folder, (float("-inf"), 0))[0] >= ROOM_EVERY_S:
                    self._rooms[folder] = (
                        now,
                        await self._ask_once(lambda host: self._storage(host).free_bytes(folder)),
                    )
        except (HostError, TimeoutError):
            return None
        return OverlaySize(sizes.allocation, self._rooms[folder][1])

    async def copy(self, disk: PlannedDisk, target: str, meter: Meter) -> str:
        """Download the base in parts; after a lost connection it goes on where it was."""
        return await self._download(disk.base, target, meter)

    async def opened(self, disk: PlannedDisk, folder: Path, meter: Meter) -> PlannedDisk:
        """Copies of the base and of all that it lies on, tied to each other as the images are."""
        with meter.asking():
            await apart(folder.mkdir, PRIVATE_FOLDER)
        paths = (disk.base, *disk.below)
        copies = tuple(str(folder / f"{disk.target}-{number}") for number in range(len(paths)))
        image_format: str = disk.format
        for number, (path, copy) in enumerate(zip(paths, copies, strict=True)):
            volume = await self._present(path)
            await self._download(path, copy, meter)
            if number + 1 < len(paths):
                below = (volume.backing_format, copies[number + 1])
                await with_heartbeat(_tie(copy, image_format, *below), meter)
                image_format = volume.backing_format
        return replace(disk, base=copies[0], below=copies[1:])

    async def _download(self, path: str, target: str, meter: Meter) -> str:
        length = _length(await self._present(path))
        # A target on a dead server holds up whoever touches it, even with a close: that is this thread, and no exit
        # waits for it.
        lane = Lane("download", 1)
        try:
            with meter.asking():
                descriptor = await lane.call(create_target, target)
            inflow = Inflow(Landing(meter, descriptor), meter)
            try:
                while inflow.position < length:
                    await self._receive_part(path, length, inflow)
                digest = await lane.call(inflow.end)
                await lane.call(finish_target, descriptor, length, meter)
            except BaseException:
                # A download that hangs may still bring pieces: none of them is written any more.
                inflow.give_up()
                lane.put(partial(_close_given_up, descriptor))
                raise
            await lane.call(os.close, descriptor)
            return digest
        finally:
            lane.close()

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

    async def _is_here(self, path: str) -> bool:
        return await self._ask(lambda host: are_here(host, [path]))

    async def _volume(self, path: str) -> Volume | None:
        return await self._ask(lambda host: self._storage(host).volume(path))

    async def _present(self, path: str) -> Volume:
        volume = await self._volume(path)
        if volume is None:
            raise ImageError("The image is not there", cause=path, next_step="See what removed it.")
        return volume

    async def _read(self, path: str, offset: int, length: int) -> bytes:
        return await self._ask(lambda host: self._storage(host).read(path, offset, length))

    async def _writers(self, path: str) -> list[str]:
        """The guests that may write to an image: one whose disks are not known is among them."""
        names = next((disk.names for disk in self._plan.disks if disk.base == path), (path,))
        known = frozenset((*names, *map(plain, names)))
        return [
            facts.name
            for facts in await self._ask(lambda host: host.list_domains())
            if facts.power is not PowerState.OFF
            and (
                facts.unread
                or any(
                    not known.isdisjoint((disk.source, plain(disk.source)))
                    or (disk.mirror_job and not known.isdisjoint(map(plain, (disk.source, *disk.backing))))
                    for disk in facts.disks
                )
            )
        ]


def _close_given_up(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)


async def _tie(image: str, image_format: str, below_format: str, below: str) -> None:
    """Write into an image's header what it lies on; the data stay as they are."""
    words = ("-u", "-f", image_format, "-F", below_format, "-b", below, image)
    code, _, err = await run_program("qemu-img", "rebase", *words)
    if code != 0:
        raise ImageError("The copies of a chain could not be tied together", cause=image, original=err)


def _length(volume: Volume) -> int:
    """A file's own length; of a device, which has none of its own, its capacity."""
    return volume.physical if volume.is_file else volume.capacity
