"""Which image a disk of a definition is: where it lies, whether that is a device, and what it is called besides."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tui.backup.image_names import ImageIdentity, identity_elsewhere, identity_here, known_as, plain
from tui.backup.plan import DiskKind, ImageFormat, PlannedDisk, Unfit
from tui.backup.values import TEXT_LIMIT
from tui.hosts.lanes import apart
from tui.hosts.port import Host, HostError, HostUnreachableError
from tui.hosts.same_files import those_here
from tui.model.disk import Disk

_DEVICES = "/dev/"
_IMPOSSIBLE = {errno.ENAMETOOLONG: "longer than any name of a file", errno.ELOOP: "a link that leads to itself"}


async def identified(host: Host, disk: Disk) -> PlannedDisk | Unfit:
    """The disk with its image, its overlay not placed yet; or why it cannot be told which image that is.

    Paths that are proven to be this machine's are looked at. Raises HostError where the host does not answer.
    """
    kind, path = DiskKind(disk.source_type), disk.source
    if kind is DiskKind.VOLUME:
        pool, _, volume = disk.source.partition("/")
        try:
            path = await host.volume_path(pool, volume)
        except HostUnreachableError:
            raise
        except HostError as error:
            why = error.original or error.one_line()
            return Unfit(disk.target, f"the pool {pool} does not tell where the volume {volume} is: {why}")
    if not path.startswith("/"):
        return Unfit(disk.target, f"{path or disk.source} is no path on the host: QEMU reaches it over the network")
    if len(path) > TEXT_LIMIT or "\0" in path:
        return Unfit(disk.target, "its path is longer than any that a kernel takes")
    here = await those_here(host, [path, *(each for each in disk.backing if each.startswith("/"))])
    is_here = path in here
    why = await apart(_strange_here, path) if is_here else ""
    if why:
        return Unfit(disk.target, f"{path} is {why}")
    identity = await _identity(path, disk, kind, is_here=is_here)
    below = [await _below(each, is_here=each in here) for each in disk.backing]
    return PlannedDisk(
        target=disk.target,
        base=identity.path,
        format=ImageFormat(disk.format),
        overlay="",
        kind=kind,
        named=disk.source if disk.source != identity.path else "",
        below=tuple(each.path for each in below),
        is_device=identity.is_device,
        called=tuple(name for name in identity.names if name != disk.source),
    )


async def _identity(path: str, disk: Disk, kind: DiskKind, *, is_here: bool) -> ImageIdentity:
    if is_here:
        identity = await apart(identity_here, path)
        # What is not there, or not to be seen, is what the definition says.
        is_device = identity.is_device or (kind is DiskKind.BLOCK and not await apart(os.path.exists, path))
        return replace(identity, is_device=is_device)
    return identity_elsewhere(path, is_device=kind is DiskKind.BLOCK or plain(path).startswith(_DEVICES))


async def _below(path: str, *, is_here: bool) -> ImageIdentity:
    return await apart(identity_here, path) if is_here else identity_elsewhere(path, is_device=False)


def _strange_here(path: str) -> str:
    """What is at a path of this machine where that is neither a file nor a block device; empty where it is one."""
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return _IMPOSSIBLE.get(error.errno or 0, "")
    except ValueError:
        return "no path at all"
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        return ""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFCHR: "a character device", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "neither a file nor a block device")


async def twins(disks: Sequence[PlannedDisk], others: Mapping[str, Disk], *, is_here: bool) -> dict[str, str]:
    """Disks that lie on an image which another disk of the same guest uses, by target; with the reason.

    One image under two names would be switched, copied and merged twice. `others` are the guest's other disks.
    """
    names = {disk.target: await _known(disk.names, is_here=is_here) for disk in disks}
    below = {disk.target: await _known(disk.below, is_here=is_here) for disk in disks}
    foreign = {
        target: await _known((disk.source, *disk.backing), is_here=is_here)
        for target, disk in others.items()
        if disk.source.startswith("/")
    }
    found: dict[str, str] = {}
    for disk in disks:
        for other in (target for target in names if target != disk.target):
            if names[disk.target] & (names[other] | below[other]):
                found[disk.target] = f"{other} lies on the same image, {disk.base}"
        for other, known in foreign.items():
            if names[disk.target] & known:
                found[disk.target] = f"{other}, which is not in the backup, lies on the same image, {disk.base}"
    return found


async def _known(names: Sequence[str], *, is_here: bool) -> frozenset[str]:
    # A path of another machine means nothing here, and folders of this one may be on a server that never answers.
    return await apart(lambda: known_as(names, here=is_here))
