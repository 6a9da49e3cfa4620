"""What the other rooms may ask of a host's storage: images they cannot, or need not, open as files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Volume:
    """An image as libvirt's storage describes it (virStorageVolGetXMLDesc); sizes in bytes.

    `is_device` where its type is `block`; it may be neither that nor a file. `capacity` is what a guest sees,
    `allocation` what is on the disk, `physical` the file's length. `backing` is the path of the image below,
    `backing_format` its format as this image names it; `modified_ns` the time of the last write.
    """

    path: str
    is_file: bool
    is_device: bool
    format: str
    capacity: int
    allocation: int
    physical: int
    backing: str
    backing_format: str
    owner: int
    group: int
    mode: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class PoolFolder:
    """The folder of an active pool of files, and bytes free there."""

    path: str
    free_bytes: int


class Receiver(Protocol):
    """Takes what a download brings, on the download's own thread and in order; what it raises ends the download."""

    def data(self, piece: bytes) -> None:
        """Bytes of the image."""
        ...

    def hole(self, length: int) -> None:
        """That many zeros, which the image does not hold."""
        ...


class Storage(Protocol):
    """Images by their paths on the host.

    Where no active pool holds an image's folder, a transient one is made over it, which `close` removes; nothing is
    written into the folder. Methods raise `HostUnreachableError` and `HostError`.
    """

    async def volume(self, path: str) -> Volume | None:
        """An image as it is now, None where there is none."""
        ...

    async def free_bytes(self, folder: str) -> int:
        """Room left in the file system of a folder of images."""
        ...

    async def folders(self) -> tuple[PoolFolder, ...]:
        """The folders of the active pools that keep images as files; none from a daemon without storage."""
        ...

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """A small part of an image, fewer bytes where it ends before."""
        ...

    async def receive(self, path: str, offset: int, length: int, receiver: Receiver) -> None:
        """Hand a part of an image to `receiver`, holes as holes.

        Up to `length` bytes wait in memory where the receiver is slower than the host; what it raises passes through.
        """
        ...

    async def delete(self, path: str) -> None:
        """Delete an image; returns once it is seen to be gone."""
        ...

    async def close(self) -> None:
        """Remove the pools that were made."""
        ...
