"""How a run reaches the guest's images: what it asks and does there, whichever way it goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tui.backup.copying import FileMark
from tui.backup.images import Header, ImageInfo
from tui.backup.meter import Meter
from tui.backup.plan import ImageFormat, PlannedDisk
from tui.hosts.port import Host

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a folder lies: device number, bytes free for this user, and whether files may be made and removed there.

    The number is 0 where it cannot be known. `volatile` says which kind of memory it is where it does not outlast the
    host's power, empty for a disk.
    """

    device: int
    free_bytes: int
    writable: bool
    volatile: str = ""


@dataclass(frozen=True, slots=True)
class ImageLook:
    """An image as it is found, used or not; `length` and `data_bytes` in bytes, `header` None where it is no qcow2.

    `mark` changes with every write. `is_file` is false for devices and links; `is_device` tells that a block device is
    there, links followed.
    """

    length: int
    data_bytes: int
    header: Header | None
    mark: FileMark
    is_file: bool
    owner: int
    group: int
    mode: int
    is_device: bool = False


@dataclass(frozen=True, slots=True)
class OverlaySize:
    """Bytes an overlay has grown to on the disk, and bytes free beside it."""

    bytes: int
    free: int


class Reach(Protocol):
    """One way to the images. Methods raise OSError, HostError and BackupError."""

    @property
    def converts_copies(self) -> bool:
        """Whether images have to be copied before they can be converted."""
        ...

    async def look(self, path: str, image_format: ImageFormat) -> ImageLook | None:
        """What an image is, asked without a lock; None where there is none."""
        ...

    async def info(self, path: str, image_format: ImageFormat) -> ImageInfo:
        """The same of an image that nobody writes to; raises ImageError where somebody may."""
        ...

    async def exists(self, path: str) -> bool:
        """Whether there is anything of that name."""
        ...

    async def file_system(self, folder: str) -> FileSystem | None:
        """Where a folder of images lies, None where there is no such folder."""
        ...

    async def overlay_size(self, disk: PlannedDisk) -> OverlaySize | None:
        """How large the overlay in use is, None where that cannot be told now."""
        ...

    async def copy(self, disk: PlannedDisk, target: str, meter: Meter) -> str:
        """Copy the base exactly, holes as holes; returns its sha256, empty where the copy shares its extents.

        Raises CancelledBackupError when `meter.stop` is set.
        """
        ...

    async def opened(self, disk: PlannedDisk, folder: Path, meter: Meter) -> PlannedDisk:
        """The disk as images that programs of this user may open; copies of them, if need be, go into `folder`."""
        ...

    async def holds_nothing(self, path: str) -> bool:
        """Whether an overlay that nobody has open holds no cluster of its own, or is not there."""
        ...

    async def delete(self, path: str) -> None:
        """Delete an image durably."""
        ...

    async def close(self) -> None:
        """Take away what the way itself needed."""
        ...


class Ask(Protocol):
    """Asks a host, once or until it answers."""

    async def __call__(self, question: Callable[[Host], Awaitable[T]]) -> T:
        """The answer."""
        ...
