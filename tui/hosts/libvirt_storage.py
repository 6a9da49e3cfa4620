"""libvirt's storage pools, volumes and streams behind `storage.Storage`."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import libvirt

from tui.hosts import faults
from tui.hosts.port import HostError
from tui.hosts.storage import PoolFolder, Receiver, Volume
from tui.hosts.volume_xml import folder_of_pool, folder_pool_xml, read_volume

P = ParamSpec("P")
T = TypeVar("T")

RECEIVE_BYTES = 256 * 1024
"""Asked for at once: about what one message of libvirt's protocol carries; the binding clears a buffer of that size."""
TRIES = 3
"""Somebody else's pool, which held the folder until now, may be gone at the next call."""


class Asker(Protocol):
    """Runs a blocking question on a lane with a virConnect; libvirt's errors come out classified."""

    async def __call__(self, question: Callable[Concatenate[Any, P], T], *words: P.args, **options: P.kwargs) -> T:
        """The answer to `question(virConnect, ...)`."""
        ...


class LibvirtStorage:
    """See `storage.Storage`; pools that are made have names that begin with `pool_name`.

    Downloads run on a connection of their own: one takes as long as its receiver likes.
    """

    def __init__(self, ask: Asker, ask_streams: Asker, pool_name: str) -> None:
        self._ask = ask
        self._ask_streams = ask_streams
        self._pool_name = pool_name

    async def volume(self, path: str) -> Volume | None:
        """An image as it is now, None where there is none."""
        return await self._ask(_in_pool, self._pool_name, path, _describe)

    async def free_bytes(self, folder: str) -> int:
        """Room left in the file system of a folder of images."""
        return await self._ask(_free_bytes, self._pool_name, folder)

    async def folders(self) -> tuple[PoolFolder, ...]:
        """The folders of the active pools of files."""
        return await self._ask(_folders)

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """A small part of an image."""
        taken = _Taken()
        await self.receive(path, offset, length, taken)
        return bytes(taken.content)

    async def receive(self, path: str, offset: int, length: int, receiver: Receiver) -> None:
        """Hand a part of an image to `receiver`, holes as holes."""
        await self._ask_streams(_download, self._pool_name, path, offset, length, receiver)

    async def delete(self, path: str) -> None:
        """Delete an image; returns once it is seen to be gone."""
        await self._ask(_in_pool, self._pool_name, path, lambda volume: volume.delete(0))
        if await self.volume(path) is not None:
            raise HostError("libvirt did not delete the image", cause=path, next_step="Delete it as root.")

    async def close(self) -> None:
        """Remove the pools that were made."""
        await self._ask(_remove_pools, self._pool_name)


class _Taken:
    """Keeps what a small download brings."""

    def __init__(self) -> None:
        self.content = bytearray()

    def data(self, piece: bytes) -> None:
        self.content += piece

    def hole(self, length: int) -> None:
        self.content += bytes(length)


def _describe(volume: Any) -> Volume:
    return read_volume(str(volume.XMLDesc(0)))


def _in_pool(connection: Any, pool_name: str, path: str, use: Callable[[Any], T], *, fresh: bool = True) -> T | None:
    """`use` of the volume at `path`, None where there is none; `fresh` has the pool look at its folder first."""
    folder, name = os.path.split(path)
    for attempt in range(TRIES):
        try:
            pool = _pool_over(connection, pool_name, folder)
            if fresh or attempt:
                pool.refresh(0)
            return use(pool.storageVolLookupByName(name))
        except libvirt.libvirtError as error:
            code = error.get_error_code()
            if code == faults.NO_STORAGE_VOL and (fresh or attempt):
                return None
            if code not in (faults.NO_STORAGE_POOL, faults.NO_STORAGE_VOL) or attempt == TRIES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _free_bytes(connection: Any, pool_name: str, folder: str) -> int:
    pool = _pool_over(connection, pool_name, folder)
    pool.refresh(0)
    return int(pool.info()[3])


def _folders(connection: Any) -> tuple[PoolFolder, ...]:
    try:
        pools = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() == faults.NO_SUPPORT:
            return ()
        raise
    found: list[PoolFolder] = []
    for pool in pools:
        try:
            folder, free = folder_of_pool(str(pool.XMLDesc(0))), int(pool.info()[3])
        except libvirt.libvirtError as error:
            # Somebody stopped it meanwhile.
            if error.get_error_code() != faults.NO_STORAGE_POOL:
                raise
            continue
        if folder:
            found.append(PoolFolder(folder, free))
    return tuple(found)


def _pool_over(connection: Any, pool_name: str, folder: str) -> Any:
    """The active pool over a folder, a transient one where there was none."""
    try:
        return connection.storagePoolLookupByTargetPath(folder)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (faults.NO_STORAGE_POOL, faults.NO_SUPPORT):
            raise
    if PurePosixPath(folder).is_relative_to("/dev"):
        # A pool of files over devices would open each of them, a watchdog included.
        raise HostError(
            f"No storage pool holds the devices in {folder}",
            next_step="Define a pool of their kind (virsh pool-define-as NAME logical), or run as root on the host.",
        )
    suffix = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    try:
        return connection.storagePoolCreateXML(folder_pool_xml(f"{pool_name}-{suffix}", folder), 0)
    except libvirt.libvirtError as error:
        with contextlib.suppress(libvirt.libvirtError):
            # Somebody else was faster.
            return connection.storagePoolLookupByTargetPath(folder)
        text = error.get_error_message() or str(error)
        if faults.is_connection_loss(error.get_error_code() or 0, error.get_error_domain() or 0, text):
            raise
        step = "Start that pool: virsh pool-start NAME." if "conflict with pool" in text else "Run as root."
        raise HostError(f"libvirt's storage cannot open {folder}", cause=text, next_step=step, original=text) from error


def _remove_pools(connection: Any, pool_name: str) -> None:
    for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT):
        if str(pool.name()).startswith(f"{pool_name}-"):
            try:
                pool.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() != faults.NO_STORAGE_POOL:
                    raise


def _download(connection: Any, pool_name: str, path: str, offset: int, length: int, receiver: Receiver) -> None:
    def begin(volume: Any) -> Any:
        stream = connection.newStream(0)
        volume.download(stream.raw, offset, length, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        return stream.raw

    stream = _in_pool(connection, pool_name, path, begin, fresh=False)
    if stream is None:
        raise HostError("The image is gone", cause=path, next_step="See what removed it.")
    _drain(stream, receiver)


def _drain(stream: Any, receiver: Receiver) -> None:
    """Take everything a stream brings. An empty piece is its end, a number that a hole comes next."""
    try:
        while piece := stream.recvFlags(RECEIVE_BYTES, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE):
            if isinstance(piece, bytes):
                receiver.data(piece)
            else:
                receiver.hole(int(stream.recvHole()))
        stream.finish()
    except BaseException:
        with contextlib.suppress(libvirt.libvirtError):
            # Without effect on a stream that has failed by itself.
            stream.abort()
        raise
