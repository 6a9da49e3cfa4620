"""Every image that any domain of a host uses: of running ones by their definition, of all by what their images say."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tui.backup.chain import disks_by_target
from tui.backup.image_references import references_of
from tui.backup.plan import ImageFormat
from tui.backup.selection import REMOVABLE
from tui.hosts.lanes import apart
from tui.hosts.open_images import FileIdentity, identity_of
from tui.hosts.port import Host, HostError, HostUnreachableError, NoSuchDomainError
from tui.hosts.same_files import why_not_here
from tui.model.disk import Disk
from tui.model.errors import ExplainedError
from tui.model.guest import DomainFacts, PowerState

DEPTH = 64
"""Images below one disk that are followed."""
PATIENCE_S = 20.0
"""For the images of one guest; a server that does not answer must not hold up a look at all of them."""
AT_ONCE = 8
_FILES = ("file", "block", "volume")
_STAND_ALONE = frozenset(
    {ImageFormat.RAW.value, "vdi", "vpc", "vhdx", "luks", "dmg", "bochs", "cloop", "iso", "parallels"}
)
"""Formats whose images lie on no other one in QEMU (its drivers without supports_backing)."""


@dataclass(frozen=True, slots=True)
class ImageUse:
    """That a domain uses an image: its own name and the file it is, None where there is none (to be seen).

    `is_below` says that another image of the domain lies on it, or has its data in it.
    """

    guest: str
    uuid: str
    target: str
    path: str
    is_below: bool
    identity: FileIdentity | None = None


@dataclass(frozen=True, slots=True)
class UnknownUse:
    """That it is not known what a domain uses, or what one of its images lies on, and why."""

    guest: str
    uuid: str
    why: str
    target: str = ""

    @property
    def words(self) -> str:
        """In one line."""
        return f"{self.guest}: {self.why}"


@dataclass(frozen=True, slots=True)
class ImageUsers:
    """All uses that were found. What is in `unknown` may use any image: it never means that one is unused."""

    uses: tuple[ImageUse, ...] = ()
    unknown: tuple[UnknownUse, ...] = ()

    def uses_of(self, path: str) -> tuple[ImageUse, ...]:
        """Every use of the file that is called `path` here, by whatever name; blocks for a look at that file."""
        identity, plain = _identity(path), os.path.normpath(path)
        return tuple(
            use
            for use in self.uses
            if os.path.normpath(use.path) == plain or (identity is not None and use.identity == identity)
        )

    def others_of(self, path: str, uuid: str) -> tuple[str, ...]:
        """The names of the domains besides that of `uuid` that use the file; blocks."""
        return tuple(dict.fromkeys(use.guest for use in self.uses_of(path) if use.uuid != uuid))

    def above(self, path: str, uuid: str) -> tuple[str, ...]:
        """The disks of the domain of `uuid` itself that lie on the file, by target; blocks."""
        return tuple(dict.fromkeys(use.target for use in self.uses_of(path) if use.uuid == uuid and use.is_below))


async def find_image_users(host: Host, patience_s: float = PATIENCE_S) -> ImageUsers:
    """Look at all domains of the host, their definitions and their images; changes nothing.

    Images are followed where they are proven to be files of this machine. Raises HostError where the host does not even
    tell its domains.
    """
    places = asyncio.Semaphore(AT_ONCE)

    async def of(facts: DomainFacts) -> ImageUsers:
        async with places:
            return await _of_domain(host, facts, patience_s)

    found = await asyncio.gather(*(of(facts) for facts in await host.list_domains()))
    return ImageUsers(
        tuple(use for each in found for use in each.uses), tuple(why for each in found for why in each.unknown)
    )


async def _of_domain(host: Host, facts: DomainFacts, patience_s: float) -> ImageUsers:
    if facts.unread:
        return ImageUsers(unknown=(UnknownUse(facts.name, facts.uuid, facts.unread),))
    try:
        stored = disks_by_target(await host.stored_xml(facts.uuid)).values() if facts.persistent else ()
        runs = facts.power is not PowerState.OFF
        disks = (*(facts.disks if runs else ()), *stored)
        named, unknown = await _by_path(host, facts, disks)
        paths = sorted({path for disk in named for path in (disk.source, *disk.backing)})
        elsewhere = await why_not_here(host, paths) if paths else ""
    except NoSuchDomainError:
        return ImageUsers()
    except HostUnreachableError:
        raise
    except ExplainedError as error:
        return ImageUsers(unknown=(UnknownUse(facts.name, facts.uuid, error.one_line()),))
    if elsewhere:
        uses = tuple(use for disk in named for use in _as_named(facts, disk))
        hidden = [disk for disk in named if not disk.backing and disk.format not in _STAND_ALONE]
        why = f"what its images lie on cannot be seen: {elsewhere}"
        more = (UnknownUse(facts.name, facts.uuid, why),) if hidden and not runs else ()
        return ImageUsers(uses, (*unknown, *more))
    try:
        async with asyncio.timeout(patience_s):
            followed = await apart(_followed, facts, named)
    except TimeoutError:
        uses = tuple(use for disk in named for use in _as_named(facts, disk))
        why = f"its images did not answer within {patience_s:.0f} s"
        return ImageUsers(uses, (*unknown, UnknownUse(facts.name, facts.uuid, why)))
    return ImageUsers(followed.uses, (*unknown, *followed.unknown))


async def _by_path(host: Host, facts: DomainFacts, disks: Iterable[Disk]) -> tuple[list[Disk], tuple[UnknownUse, ...]]:
    """The disks that are files or devices, volumes under their path, and those whose pool does not tell it."""
    named: list[Disk] = []
    unknown: list[UnknownUse] = []
    for disk in disks:
        if disk.source_type not in _FILES or not disk.source:
            continue
        if disk.source_type != "volume":
            named.append(disk)
            continue
        pool, _, volume = disk.source.partition("/")
        try:
            named.append(_renamed(disk, await host.volume_path(pool, volume)))
        except HostUnreachableError:
            raise
        except HostError as error:
            why = f"where {disk.target} ({disk.source}) is, is not known: {error.one_line()}"
            unknown.append(UnknownUse(facts.name, facts.uuid, why, disk.target))
    return named, tuple(unknown)


def _renamed(disk: Disk, path: str) -> Disk:
    return Disk(disk.target, disk.device, disk.source_type, path, disk.format, backing=disk.backing)


def _as_named(facts: DomainFacts, disk: Disk) -> tuple[ImageUse, ...]:
    below = tuple(_use(facts, disk, path, is_below=True) for path in disk.backing)
    return (_use(facts, disk, disk.source, is_below=False), *below)


def _use(facts: DomainFacts, disk: Disk, path: str, *, is_below: bool) -> ImageUse:
    return ImageUse(facts.name, facts.uuid, disk.target, path, is_below)


def _followed(facts: DomainFacts, disks: Sequence[Disk]) -> ImageUsers:
    """The uses with the files they are, images followed down to the last one; blocks."""
    uses: dict[ImageUse, None] = {}
    unknown: dict[UnknownUse, None] = {}
    for disk in disks:
        found, why = _chain_of(disk)
        named = [(disk.source, False), *((path, True) for path in disk.backing), *((path, True) for path in found)]
        for path, is_below in named:
            use = ImageUse(facts.name, facts.uuid, disk.target, path, is_below, _identity(path))
            uses.setdefault(use)
        # What a running guest lies on, libvirt has told: it opened all of it.
        if why and not (disk.backing and facts.power is not PowerState.OFF):
            unknown.setdefault(UnknownUse(facts.name, facts.uuid, f"{disk.target}: {why}", disk.target))
    return ImageUsers(tuple(uses), tuple(unknown))


def _chain_of(disk: Disk) -> tuple[list[str], str]:
    """What the images below a disk's own one are called, and why no more is known; empty where all is."""
    below: list[str] = []
    # libvirt takes a drive's medium of no stated format for raw, and looks into none.
    path, image_format = disk.source, disk.format or (ImageFormat.RAW if disk.device in REMOVABLE else "")
    while path and image_format not in _STAND_ALONE:
        if image_format not in ("", ImageFormat.QCOW2):
            return below, f"{path} is {image_format}, and what it lies on is not known"
        try:
            named = references_of(path)
        except OSError as error:
            return below, f"{path}: {error.strerror or error}"
        except ValueError as error:
            return below, str(error)
        below += [each for each in (named.backing, named.data_file) if each]
        if len(below) > DEPTH:
            return below, f"more than {DEPTH} images lie below it"
        path, image_format = named.backing, named.backing_format
    return below, ""


def _identity(path: str) -> FileIdentity | None:
    try:
        return identity_of(os.stat(path))  # noqa: PTH116 - the names of images are plain strings
    except (OSError, ValueError):
        return None
