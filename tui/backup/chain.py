"""Where a disk stands between its base and its overlay, read from definitions; and the XML that switches it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from tui.backup.disk_set import snapshot_name
from tui.backup.image_names import plain
from tui.backup.plan import BackupPlan, DiskKind, PlannedDisk
from tui.backup.session import HostSession
from tui.hosts.domain_xml import parse_tree, read_definition
from tui.model.disk import Disk
from tui.model.guest import PowerState


class Place(StrEnum):
    """What a running disk writes to."""

    BASE = "base"
    OVERLAY = "overlay"
    MERGING = "merging"
    READY = "ready"
    """Overlay and base are the same, and every write goes to both: the pivot may come."""
    ELSEWHERE = "elsewhere"
    """An image this run knows nothing of, or the disk is gone."""


@dataclass(frozen=True, slots=True)
class GuestView:
    """A guest's power and its disks by target, running and stored, read at one moment."""

    power: PowerState
    power_reason: str
    live: dict[str, Disk]
    stored: dict[str, Disk]


async def read_guest(session: HostSession, uuid: str) -> GuestView:
    """Read where a guest stands; raises NeedsRescueError when the host stays away."""
    facts = await session.ask(lambda host: host.read_domain(uuid))
    live = await session.ask(lambda host: host.live_xml(uuid))
    stored = await session.ask(lambda host: host.stored_xml(uuid))
    return GuestView(facts.power, facts.power_reason, disks_by_target(live), disks_by_target(stored))


def disks_by_target(xml: str) -> dict[str, Disk]:
    """The disks of a definition; raises MalformedXmlError."""
    return {disk.target: disk for disk in read_definition(xml).disks}


def place_of(disk: Disk | None, planned: PlannedDisk) -> Place:
    """Where a disk of a running guest stands. READY is the mirror's own word, never a comparison of counters."""
    if disk is None:
        return Place.ELSEWHERE
    if planned.is_called(disk.source):
        return Place.BASE if not disk.mirror_job else Place.ELSEWHERE
    # The definition of a guest that is off may be silent about what lies below.
    if plain(disk.source) != planned.overlay or (disk.backing and not planned.is_called(disk.backing[0])):
        return Place.ELSEWHERE
    if not disk.mirror_job:
        return Place.OVERLAY
    if disk.mirror_job != "active-commit":
        return Place.ELSEWHERE
    return Place.READY if disk.mirror_ready else Place.MERGING


def snapshot_xml(plan: BackupPlan, others: Iterable[str]) -> str:
    """The `<domainsnapshot>` that puts the plan's disks on their overlays and names all the `others` as untouched.

    A disk that is not named would be overlaid under a generated name; so would a cdrom named as external.
    """
    root = ET.Element("domainsnapshot")
    ET.SubElement(root, "name").text = snapshot_name(plan)
    disks = ET.SubElement(root, "disks")
    for disk in plan.disks:
        element = ET.SubElement(disks, "disk", name=disk.target, snapshot="external", type="file")
        ET.SubElement(element, "driver", type="qcow2")
        ET.SubElement(element, "source", file=disk.overlay)
    for target in others:
        ET.SubElement(disks, "disk", name=target, snapshot="no")
    return ET.tostring(root, encoding="unicode")


def with_base(xml: str, disks: Iterable[PlannedDisk]) -> str:
    """A stored definition in which the given disks are on their bases; raises MalformedXmlError."""
    root = parse_tree(xml)
    for disk in disks:
        for element in root.findall("./devices/disk"):
            source, driver = element.find("source"), element.find("driver")
            if source is None or plain(source.get("file", "")) != disk.overlay:
                continue
            element.set("type", disk.kind)
            source.attrib.pop("file")
            pool, _, volume = disk.named.partition("/")
            path = disk.named or disk.base
            names = {
                DiskKind.FILE: {"file": path},
                DiskKind.BLOCK: {"dev": path},
                DiskKind.VOLUME: {"pool": pool, "volume": volume},
            }
            source.attrib.update(names[disk.kind])
            if driver is not None:
                driver.set("type", disk.format)
            for below in element.findall("backingStore"):
                element.remove(below)
    return ET.tostring(root, encoding="unicode")


def names_path(xml: str, path: str) -> bool:
    """Whether any attribute or text of a definition is `path`, wherever it stands and however it is spelled."""
    wanted = {path, plain(path)}
    return any(not wanted.isdisjoint((text, plain(text.strip()))) for text in texts_of(xml))


def texts_of(xml: str) -> Iterator[str]:
    """Every attribute and text of a definition; raises MalformedXmlError."""
    for element in parse_tree(xml).iter():
        yield from element.attrib.values()
        if element.text:
            yield element.text
