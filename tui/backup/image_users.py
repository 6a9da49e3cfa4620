"""Which other guests use an image: those that name it, and those that are off and lie on it, read from their images.

A guest that is off names no chain: what its disk lies on stands in the image alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from tui.backup.chain import disks_by_target, names_path
from tui.backup.images import ImageError, image_info, read_header
from tui.backup.plan import BackupPlan, ImageFormat, Source
from tui.backup.session import HostSession
from tui.hosts.domain_xml import MalformedXmlError
from tui.hosts.port import NoSuchDomainError
from tui.model.disk import Disk
from tui.model.guest import DomainFacts, PowerState

CHAIN_LIMIT = 64
"""Images that are followed below one another."""


async def other_users(session: HostSession, plan: BackupPlan, images: Collection[str]) -> tuple[str, ...]:
    """The names of the domains beside the plan's own, by UUID, that use one of `images`, running or not.

    Images of guests that are off are followed where this user may open images. Raises HostError.
    """
    identities = await asyncio.to_thread(_identities, images)
    domains = await session.ask(lambda host: host.list_domains())
    others = [facts for facts in domains if facts.uuid != plan.uuid]
    return tuple([facts.name for facts in others if await _uses(session, plan, facts, images, identities)])


async def _uses(
    session: HostSession,
    plan: BackupPlan,
    facts: DomainFacts,
    images: Collection[str],
    identities: frozenset[tuple[int, int]],
) -> bool:
    if facts.unread:
        return True
    try:
        definitions = [await session.ask(lambda host: host.live_xml(facts.uuid))]
        if facts.persistent:
            definitions.append(await session.ask(lambda host: host.stored_xml(facts.uuid)))
    except NoSuchDomainError:
        return False
    try:
        if any(names_path(xml, image) for xml in definitions for image in images):
            return True
        disks = disks_by_target(definitions[-1])
    except MalformedXmlError:
        return True  # nobody can say that it does not
    if plan.source is not Source.FILE:
        return False
    for disk in disks.values():
        off = facts.power is PowerState.OFF
        names = {disk.source, *disk.backing, *(await images_below(disk) if off and not disk.backing else ())}
        if not identities.isdisjoint(await asyncio.to_thread(_identities, names)):
            return True
    return False


async def images_below(disk: Disk) -> tuple[str, ...]:
    """The images below one that is not in use, nearest first, as far as they can be followed."""
    below: list[str] = []
    path, image_format = disk.source, disk.format
    while path.startswith("/") and image_format == ImageFormat.QCOW2 and len(below) < CHAIN_LIMIT:
        try:
            path = (await image_info(path, ImageFormat.QCOW2)).backing
            header = await asyncio.to_thread(read_header, path) if path else None
        except (ImageError, OSError):
            break
        if path:
            below.append(path)
        image_format = ImageFormat.QCOW2 if header is not None else ImageFormat.RAW
    return tuple(below)


def _identities(paths: Collection[str]) -> frozenset[tuple[int, int]]:
    """Device and inode of each file that can be seen, whatever it is called; blocks."""
    found: set[tuple[int, int]] = set()
    for path in paths:
        if not path.startswith("/"):
            continue
        try:
            status = Path(path).stat()
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)
